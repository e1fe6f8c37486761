from pathlib import Path

import pytest

from mirnet import environment
from mirnet.environment import cores


def test_cores_are_those_that_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "_MEMBERSHIP", tmp_path / "none")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert cores() == 3


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "20000 100000"}, 1),
        ({"cpu/outer/cpu.cfs_quota_us": "300000", "cpu/outer/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/outer/cpu.cfs_quota_us": "-1", "cpu/outer/cpu.cfs_period_us": "100000"}, 8),
        ({"outer/inner/cpu.max": "nonsense"}, 8),
        ({"outer/inner/cpu.max": "100000 0"}, 8),
    ],
)
def test_a_containers_share_of_the_processor_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quotas: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr(environment, "_CGROUP", tmp_path)
    monkeypatch.setattr(environment, "_MEMBERSHIP", tmp_path / "membership")
    (tmp_path / "membership").write_text("4:cpu,cpuacct:/outer/inner\n0::/outer/inner\n")
    for name, text in quotas.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert cores() == expected
