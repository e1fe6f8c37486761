import errno
import mmap
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnet.errors import InsufficientMemoryError
from mirnet.inference.streaming import canvas as canvas_module
from mirnet.inference.streaming.canvas import Canvas, Memory, Scratch, scratch_folder
from mirnet.inference.streaming.tiles import Box, Cut

REST = Memory(torch.float32, torch.device("cpu"))


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    tile=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    step=st.integers(1, 5),
    ways=st.lists(st.sampled_from([-1, 1]), min_size=1, max_size=5),
    data=st.data(),
)
def test_a_map_is_rewritten_in_place_though_each_tile_looks_around_itself(
    size: tuple[int, int], tile: tuple[int, int], step: int, ways: list[int], data: Any
) -> None:
    """Each sweep must see what the one before it left, wherever it has written itself already."""
    height, width = size
    canvas = Canvas(REST, (height, width, 2), step, ways)
    cut = Cut(height, width, *tile)
    expected = torch.zeros(1, 2, height, width)
    for number, way in enumerate(ways):
        made = torch.rand(1, 2, height, width)
        for box in cut.tiles(backwards=way > 0):
            if number:
                region = box.grown(data.draw(st.integers(0, step)), height, width)
                seen = expected[..., region.top : region.bottom, region.left : region.right]
                assert torch.equal(canvas.read(region), seen)
            canvas.write(box, made[..., box.top : box.bottom, box.left : box.right], way)
        canvas.turn(way)
        expected = made
    assert torch.equal(canvas.read(Box(0, height, 0, width)), expected)


@pytest.mark.parametrize("backwards", [False, True])
def test_tiles_cover_a_picture_once(backwards: bool) -> None:
    seen = torch.zeros(10, 13)
    rows = []
    for box in Cut(10, 13, 4, 5).tiles(backwards=backwards, after_row=lambda: rows.append(1)):
        seen[box.top : box.bottom, box.left : box.right] += 1
    assert bool((seen == 1).all())
    assert len(rows) == 3


def test_a_full_disk_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    told = r"another 3 MiB of scratch space can't be had \(No space left .* TMPDIR"
    with pytest.raises(InsufficientMemoryError, match=told):
        Scratch(torch.float32, tmp_path).empty(100, 100, 80)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_mapped_is_not_put_down_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(mmap, "mmap", full)
    with pytest.raises(InsufficientMemoryError, match=r"Cannot allocate .*; take a smaller"):
        Scratch(torch.float32, tmp_path).empty(10, 10, 10)


def test_a_system_that_can_neither_claim_nor_let_go_has_scratch_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.delattr(mmap, "MADV_DONTNEED", raising=False)
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: len(data) // 2 + 1]))
    rest = Scratch(torch.float32, tmp_path)
    room = rest.empty(1000, 700, 9)  # more than one write
    assert not room.any()
    room.fill_(3)
    rest.settle()
    assert bool((room == 3).all())


def test_what_settled_is_still_there(tmp_path: Path) -> None:
    rest = Scratch(torch.bfloat16, tmp_path)
    room = rest.empty(50, 60, 7)
    values = torch.rand(50, 60, 7).bfloat16()
    room.copy_(values)
    rest.settle()
    assert torch.equal(room, values)


def mounted(path: Path, kind: str) -> str:
    device = path.stat().st_dev
    place = f"{os.major(device)}:{os.minor(device)}"
    return f"30 1 {place} / {path} rw,nosuid shared:4 - {kind} {kind} rw,size=8g\n"


@pytest.mark.skipif(not hasattr(os, "major"), reason="this system has no device numbers")
@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_a_scratch_file_lies_on_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(canvas_module, "_MOUNTS", mounts)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    other = "22 1 4095:1 / /proc rw - proc proc rw\n"
    mounts.write_text(other + mounted(tmp_path, "ext4"))
    assert scratch_folder() == Path(tmp_path)
    mounts.write_text(other + mounted(tmp_path, kind))
    assert scratch_folder() is None  # all folders here are on one device
    monkeypatch.setattr(canvas_module, "_lies_in_memory", lambda folder: folder == tmp_path)
    (tmp_path / "var").mkdir()
    monkeypatch.setattr(canvas_module, "FOR_LARGE_FILES", tmp_path / "var")
    assert scratch_folder() == Scratch(torch.float32).folder == tmp_path / "var"
    monkeypatch.setattr(canvas_module, "FOR_LARGE_FILES", tmp_path / "is not there")
    assert scratch_folder() is None
    monkeypatch.undo()
    monkeypatch.setattr(canvas_module, "_MOUNTS", tmp_path / "no proc")
    assert scratch_folder() == Path(tempfile.gettempdir())

    def gettempdir() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", gettempdir)
    monkeypatch.setattr(canvas_module, "FOR_LARGE_FILES", tmp_path / "gone")
    assert scratch_folder() is None
    assert Scratch(torch.float32).folder == tmp_path / "gone"
