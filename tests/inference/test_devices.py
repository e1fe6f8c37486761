import pytest
import torch

from mirnet.inference.devices import settle


@pytest.mark.parametrize(("device", "waits"), [("cuda:1", 1), ("mps", 1), ("cpu", 0)])
def test_a_device_that_runs_behind_is_waited_for(
    device: str, waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda which: waited.append(str(which)))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    settle(torch.device(device))
    assert waited == [device][:waits]
