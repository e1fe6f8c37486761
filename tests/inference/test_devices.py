import pytest
import torch

from mirnet.errors import DeviceError
from mirnet.inference.devices import choose_dtype, is_emulated, settle


@pytest.mark.parametrize(("device", "waits"), [("cuda:1", 1), ("mps", 1), ("cpu", 0)])
def test_a_device_that_runs_behind_is_waited_for(
    device: str, waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda which: waited.append(str(which)))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    settle(torch.device(device))
    assert waited == [device][:waits]


def test_of_two_gpus_the_one_that_is_meant_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The current one is the old one."""
    able = {torch.device("cuda:0"): (7, 5), torch.device("cuda:1"): (8, 0)}
    monkeypatch.setattr(torch.cuda, "get_device_capability", able.get)
    monkeypatch.setattr(torch.version, "hip", None)
    assert choose_dtype("bfloat16", torch.device("cuda:1")) == torch.bfloat16
    with pytest.raises(DeviceError, match="device cuda:0: has no bfloat16"):
        choose_dtype("bfloat16", torch.device("cuda:0"))


def test_a_processor_that_emulates_an_arithmetic_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    for able, told in ((False, 1), (True, 0)):
        monkeypatch.setattr(
            torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda able=able: able, raising=False
        )
        caplog.clear()
        assert choose_dtype("bfloat16", cpu) == torch.bfloat16
        assert choose_dtype("auto", cpu, for_8_bits=True) == torch.float32
        assert choose_dtype("float32", cpu) == torch.float32
        assert caplog.text.count("this processor only emulates bfloat16") == told
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    for able in (False, True):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda able=able: able)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert is_emulated(torch.bfloat16) is not able
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    caplog.clear()
    choose_dtype("float16", cpu)
    assert not caplog.text
