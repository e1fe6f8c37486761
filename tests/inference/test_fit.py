import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mirnet.errors import InsufficientMemoryError
from mirnet.inference import fit
from mirnet.inference.fit import choose_fit, fits
from mirnet.inference.memory import estimate_memory
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v1 import MIRNetV1Config

CPU = torch.device("cpu")
SMALL = MIRNetV2Config.small()
GIB = 2**30


def choose(height: int, width: int, config: Any = SMALL, **kind: Any) -> list[fit.Fit]:
    options = {"dtype": torch.float32, "device": CPU, "where": "big.png", **kind}
    return choose_fit(config, height, width, **options)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the machine has, to be set."""
    room = {"cpu": 16 * GIB, "cuda": 8 * GIB, "disk": 100 * GIB, "held": GIB // 4}
    monkeypatch.setattr(fit, "available_memory", lambda device: room[device.type])
    monkeypatch.setattr(fit, "resident_memory", lambda device: room["held"])
    monkeypatch.setattr(fit, "scratch_folder", lambda: Path("disk"))

    class Usage:
        def __init__(self, _: Path) -> None:
            self.free = room["disk"]

    monkeypatch.setattr(shutil, "disk_usage", Usage)
    return room


def test_what_fits_goes_in_one_piece(free: dict[str, int]) -> None:
    assert choose(1000, 1000)[0].tile is None
    free["cpu"] = estimate_memory(SMALL, 1000, 1000) - 1
    first, *others = choose(1000, 1000)
    assert first.tile is not None
    assert all(other.tile for other in others)


def test_a_runtime_of_lower_precision_fits_where_float32_would_not(free: dict[str, int]) -> None:
    free["cpu"] = 6 * GIB
    assert choose(3000, 4000)[0].tile is not None
    low = estimate_memory(SMALL, 3000, 4000, dtype=torch.bfloat16)
    in_one, *tiles = choose(3000, 4000, wholes=[fit.Fit("nowhere", None, low)])
    assert in_one.tile is None
    assert tiles == choose(3000, 4000)


def test_features_rest_in_memory_if_they_can_and_else_in_a_file(free: dict[str, int]) -> None:
    assert choose(4000, 3000)[0].tile is None
    free["cpu"] = 9 * GIB
    assert choose(4000, 3000)[0].rests == "device"
    free["cpu"] = 2 * GIB
    way = choose(4000, 3000)[0]
    assert (way.rests, way.memory < 2 * GIB, way.scratch > 7 * GIB) == ("scratch", True, True)
    assert "with the same result" in str(way)


def test_twelve_megapixels_of_the_papers_network_take_under_8_gib(free: dict[str, int]) -> None:
    way = choose(3000, 4000, MIRNetV2Config(), limit=8 * GIB)[0]
    assert way.memory + free["held"] <= 8 * GIB
    assert way.rests == "scratch"


def test_the_limit_is_the_whole_process_and_never_more_than_is_free(free: dict[str, int]) -> None:
    needed = estimate_memory(SMALL, 1000, 1000)
    assert choose(1000, 1000, limit=needed + free["held"])[0].tile is None
    assert choose(1000, 1000, limit=needed + free["held"] - 1)[0].tile is not None
    free["cpu"] = needed - 1
    assert choose(1000, 1000, limit=64 * GIB)[0].tile is not None


def test_what_will_not_fit_at_all_is_refused_with_what_would_do(free: dict[str, int]) -> None:
    with pytest.raises(InsufficientMemoryError, match=r"^big\.png: 4000×3000 needs") as refused:
        choose(3000, 4000, limit=50 << 20)
    message = str(refused.value)
    assert "50 MiB are allowed" in message
    assert "\n" not in message
    least = int(message.split("at least ")[1].split(" MiB", maxsplit=1)[0]) + 1
    assert choose(3000, 4000, limit=least << 20)


def test_a_limit_counts_with_what_the_process_holds_already(free: dict[str, int]) -> None:
    """1.1 GiB are allowed, of which 0.25 are held; 1 GiB is free: the limit is what is short."""
    free["cpu"], free["disk"] = GIB, 0
    with pytest.raises(InsufficientMemoryError, match=r"1\.1 GiB are allowed"):
        choose(4000, 3000, limit=round(1.1 * GIB))


def test_images_that_are_in_memory_are_not_counted_again() -> None:
    size: dict[str, Any] = {"height": 1000, "width": 1000, "device": CPU}
    before = [way.memory for way in fit.fits(SMALL, **size) if way.tile]
    later = [way.memory for way in fit.fits(SMALL, **size, are_here=True) if way.tile]
    apart = {first - second for first, second in zip(before, later, strict=True)}
    assert apart == {(4 * 3 + fit.PHOTO) * 1_000_000}


def test_each_image_of_a_batch_counts(free: dict[str, int]) -> None:
    one, three = (list(fits(SMALL, 900, 800, batch=n, device=CPU, after=3000)) for n in (1, 3))
    assert three[0].memory == estimate_memory(SMALL, 900, 800, batch=3)
    values, after = 24 + fit.PHOTO, 3000
    assert one[1].memory == (after + values) * 900 * 800
    assert three[1].memory == (3 * after + 3 * 24 + fit.PHOTO) * 900 * 800


def test_beside_a_gpu_the_host_holds_images_and_what_rests_or_is_touched() -> None:
    ways = {way.rests: way for way in fits(SMALL, 3000, 4000, device=torch.device("cuda"))}
    photo = 3000 * 4000 * 3 * np.dtype(np.uint16).itemsize
    images = 3000 * 4000 * 6 * np.dtype(np.float32).itemsize + photo
    resting = ways["scratch"].scratch
    assert ways["device"].host == images
    assert ways["host"].host == images + resting
    beside = (128 + 4 * 3 * SMALL.multiple) / 3000
    assert ways["scratch"].host == pytest.approx(images + beside * resting, abs=2)


def test_a_full_disk_leaves_what_needs_none(free: dict[str, int]) -> None:
    free["disk"] = 0
    assert all(way.scratch == 0 for way in choose(4000, 3000))
    free["cpu"] = GIB
    with pytest.raises(
        InsufficientMemoryError, match=r"scratch space; 1\.0 GiB are free and 0 MiB"
    ):
        choose(4000, 3000)


def test_a_scratch_file_in_memory_would_save_nothing(
    free: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    free["cpu"] = 2 * GIB
    assert choose(4000, 3000)[0].rests == "scratch"
    monkeypatch.setattr(fit, "scratch_folder", lambda: None)
    with pytest.raises(InsufficientMemoryError, match=r"of memory; 2\.0 GiB are free; set TMPDIR"):
        choose(4000, 3000)
    free["cpu"] = 9 * GIB
    assert {way.rests for way in choose(4000, 3000)} == {"device"}


def test_another_network_has_one_way(free: dict[str, int]) -> None:
    assert len(choose(200, 200, MIRNetV1Config(width=8))) == 1
    with pytest.raises(InsufficientMemoryError, match=r"^big\.png: 8000×8000 needs at least"):
        choose(8000, 8000, MIRNetV1Config())


def test_beside_a_gpu_features_rest_on_it_then_in_the_hosts_memory(free: dict[str, int]) -> None:
    gpu = torch.device("cuda")
    free["cuda"] = 12 * GIB
    assert choose(3000, 4000, device=gpu)[0].tile is None
    free["cuda"] = 9 * GIB
    assert choose(3000, 4000, device=gpu)[0].rests == "device"
    free["cuda"] = 4 * GIB
    way = choose(3000, 4000, device=gpu)[0]
    assert (way.rests, way.host > 7 * GIB) == ("host", True)
    free["cpu"] = 4 * GIB
    assert choose(3000, 4000, device=gpu)[0].rests == "scratch"


def test_in_tiles_what_comes_after_a_gpu_takes_the_hosts_memory(free: dict[str, int]) -> None:
    gpu, after = torch.device("cuda"), 128
    plain, blended = (list(fits(SMALL, 3000, 4000, device=gpu, after=n)) for n in (0, after))
    assert [way.memory for way in plain] == [way.memory for way in blended]
    images = 3000 * 4000 * (6 * 4 + fit.PHOTO)
    for before, way in zip(plain[1:], blended[1:], strict=True):
        assert way.host == max(before.host, images + after * 3000 * 4000)


def test_apples_gpus_take_the_hosts_memory(free: dict[str, int]) -> None:
    apple = torch.device("mps")
    free["mps"] = free["cpu"] = 9 * GIB
    ways = {way.rests: way for way in choose(3000, 4000, device=apple)}
    assert ways.keys() == {"device", "scratch"}
    assert all(way.host == 0 for way in ways.values())
    images = 3000 * 4000 * (6 * 4 + fit.PHOTO)
    resting = ways["scratch"].scratch
    assert ways["device"].memory > images + resting
    free["mps"] = free["cpu"] = ways["device"].memory - 1
    assert choose(3000, 4000, device=apple)[-1].rests == "scratch"


def test_beside_a_gpu_a_host_that_is_short_is_named(free: dict[str, int]) -> None:
    free["cpu"] = GIB // 8
    with pytest.raises(
        InsufficientMemoryError,
        match=r"of memory and (\d+ MiB|1\.\d GiB) of the host's and 7\.\d GiB of scratch space; "
        r"4\.0 GiB are free and 128 MiB on the host and 100\.0 GiB in ",
    ):
        free["cuda"] = 4 * GIB
        choose(3000, 4000, device=torch.device("cuda"))


def test_smaller_tiles_take_less(free: dict[str, int]) -> None:
    ways = [way for way in fits(SMALL, 3000, 4000, device=CPU) if way.rests == "scratch"]
    assert [way.memory for way in ways] == sorted((way.memory for way in ways), reverse=True)


def test_what_comes_after_the_network_counts_where_it_takes_more(free: dict[str, int]) -> None:
    free["cpu"] = 8 * GIB
    size = 9000, 9000
    plain, after = choose(*size)[0], choose(*size, after=44)[0]
    assert plain.rests == after.rests == "scratch"
    assert after.memory - plain.memory > GIB
    assert choose(1000, 1000, after=44)[0] == choose(1000, 1000)[0]
