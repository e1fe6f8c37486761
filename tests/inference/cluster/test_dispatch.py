"""Two nodes on this machine restore what one process does, whatever dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet.atomic import replacing
from mirnet.cli.app import main
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference import batch
from mirnet.inference.batch import Outcome
from mirnet.inference.cluster.dispatch import run_on_cluster
from mirnet.inference.cluster.session import SETTINGS
from mirnet.inference.cluster.worker import Make
from mirnet.inference.files import FileSteps
from mirnet.inference.ledger import NAME
from mirnet.inference.planning import plan
from mirnet.inference.restorer import Restorer
from tests.conftest import random_pixels

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")

MakePhoto = Callable[..., Path]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster with two nodes of one core each."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():  # `connected` comes too late for nodes that are there
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        few: dict[str, Any] = {"include_dashboard": False, "include_log_monitor": False}
        cluster = Cluster()
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1, object_store_memory=80 << 20, **few)
            yield cluster.address
        finally:
            cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """12 photos in two levels, of which one is truncated and one is text."""
    folder = tmp_path / "shots"
    (folder / "evening").mkdir(parents=True)
    for i in range(10):
        place = folder / "evening" if i % 2 else folder
        write_photo(Photo(pixels=random_pixels((12, 16, 3), seed=i)), place / f"{i:02}.png")
    whole = (folder / "00.png").read_bytes()
    (folder / "02a.png").write_bytes(whole[: len(whole) // 2])
    (folder / "evening" / "07a.png").write_text("not a photo\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files, hidden ones too, but the ledger, whose lines have another order."""
    files = (each for each in folder.rglob("*") if each.is_file() and each.name != NAME)
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def ledger(folder: Path) -> list[str]:
    return sorted((folder / NAME).read_text().splitlines())


def dying(weights: Path, deadly: str, once: Path | None = None) -> Make:
    """Makes steps whose process is killed in the midst of writing a photo."""

    class Dying(FileSteps):
        def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
            if target.name == deadly and not (once and once.exists()):
                with replacing(target) as temporary:
                    temporary.write_bytes(b"half")
                    if once:
                        once.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            return super().write(photo, target)

    return lambda cores, share: Dying(Restorer.from_pretrained(weights))


def reasons(outcome: Outcome) -> list[str]:
    """Without the decoder's own words, which are of whichever thread met an error last."""
    return [why.partition("(")[0] for why in outcome.failures.values()]


def test_a_worker_that_dies_changes_nothing(
    address: str,
    shots: Path,
    tiny_weights: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    restorer = Restorer.from_pretrained(tiny_weights)
    expected = batch.run(
        plan([str(shots)], here, suffix=None), lambda: FileSteps(restorer), output=here
    )
    told: list[int] = []
    outcome = run_on_cluster(
        plan([str(shots)], there, suffix=None),
        lambda: dying(tiny_weights, "03.png", once=tmp_path / "died"),
        output=there,
        address=address,
        progress=lambda done, total, source: told.append(done),
    )
    assert (tmp_path / "died").exists()
    assert re.search(r"a worker died \(.+\); [123] photos? in its hands", caplog.text)
    assert (outcome.restored, len(outcome.failures)) == (10, 2)
    assert reasons(outcome) == reasons(expected)
    assert outcome.notes == expected.notes
    assert contents(there) == contents(here)
    assert ledger(there) == ledger(here)
    assert told == list(range(13))


def test_a_photo_that_workers_die_of_is_named_and_its_neighbours_are_restored(
    address: str, make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    photos = [str(make_photo(name)) for name in ("a.png", "b.png", "c.png")]
    outcome = run_on_cluster(
        plan(photos, output, suffix=None),
        lambda: dying(tiny_weights, "b.png"),
        output=output,
        address=address,
    )
    (reason,) = outcome.failures.values()
    assert reason.startswith(f"{photos[1]}: 3 workers died of it (the last: ")
    assert sorted(contents(output)) == ["a.png", "c.png"]


def test_the_command_tells_and_writes_the_same(
    address: str,
    shots: Path,
    tiny_weights: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From a list with relative paths, with notes and failures, on the second run nothing."""
    monkeypatch.chdir(tmp_path)
    write_photo(Photo(pixels=np.zeros((8, 8, 3), np.uint8)), shots / "blank.png")
    sound = ["00.png", "blank.png", "evening/01.png"]

    def tell(status: int, names: list[str], output: str, *engine: str) -> str:
        (tmp_path / "list.txt").write_text("".join(f"shots/{name}\n" for name in names))
        arguments = ["--from-file", "list.txt", "-o", output, "--weights", str(tiny_weights)]
        assert main(["restore", *arguments, "--engine", *engine]) == status
        out, err = capfd.readouterr()
        assert out == ""
        return err[err.index(" restored") - 1 :]

    engine = ("ray", "--address", address)
    local = tell(1, [*sound, "02a.png"], "local", "local")
    ray = tell(1, [*sound, "02a.png"], "ray", *engine)
    assert "3 restored, 1 failed:\n  shots/02a.png: truncated" in ray
    assert "shots/blank.png: is blank" in ray
    assert ray.partition("(")[0] == local.partition("(")[0]
    assert "0 restored, 3 already done" in tell(0, sound, "ray", *engine)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_ends_it_with_a_line_and_no_temporary_file(
    address: str, tiny_weights: Path, tmp_path: Path, number: int, status: int, word: str
) -> None:
    shots, output = tmp_path / "shots", tmp_path / "out"
    shots.mkdir()
    write_photo(Photo(pixels=random_pixels((200, 300, 3))), shots / "000.png")
    for i in range(1, 300):  # so many that a busy machine sends the signal before the end
        (shots / f"{i:03}.png").write_bytes((shots / "000.png").read_bytes())
    command = [sys.executable, "-m", "mirnet", "restore", str(shots), "-o", str(output)]
    process = subprocess.Popen(
        [*command, "--weights", str(tiny_weights), "--engine", "ray", "--address", address],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(output.glob("0*.png")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    try:
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == status
    assert f"mirnet: {word}; run the same command again to go on" in error
    assert "Traceback" not in error
    restored = int(re.search(r"(\d+) restored", error)[1])  # type: ignore[index]
    files = contents(output)
    assert restored == len(files) == len(ledger(output))
    assert [path for path in files if path.startswith(".")] == []
