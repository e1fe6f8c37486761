import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet.data import packing
from mirnet.data.packed import is_packed, read_packed, scan_packed
from mirnet.data.packing import bytes_needed, pack
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture, Pixels, Region, digest
from mirnet.data.sources import find_pairs
from mirnet.errors import DataError
from tests.data.conftest import MakePairs
from tests.data.publishers import picture, put

Pack = Callable[..., Any]


@pytest.fixture
def pairs(make_pairs: MakePairs) -> tuple[Pair, ...]:
    return find_pairs(make_pairs(*"abcdefg"))


def packed_into(folder: Path, pairs: tuple[Pair, ...], **options: Any) -> tuple[Pair, ...]:
    return pack(pairs, folder, dataset="pairs", split="train", **options).pairs


def pixels_of(pairs: tuple[Pair, ...]) -> list[tuple[str, list[Pixels]]]:
    return [(pair.id, [each.pixels() for each in pair.pictures()]) for pair in pairs]


def same(one: tuple[Pair, ...], two: tuple[Pair, ...]) -> bool:
    return all(
        a == b and all(np.array_equal(x, y) for x, y in zip(left, right, strict=True))
        for (a, left), (b, right) in zip(pixels_of(one), pixels_of(two), strict=True)
    )


def test_packed_pictures_are_the_same(pairs: tuple[Pair, ...], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    packed = packed_into(tmp_path / "p", pairs, progress=lambda done, of: seen.append((done, of)))
    assert same(packed, pairs)
    assert same(find_pairs(tmp_path / "p", "pairs", "train"), pairs)
    assert seen == [(number, 7) for number in range(1, 8)]
    for pair in packed:
        assert [each.stamp() for each in pair.pictures()] == [
            digest(each.pixels()) for each in pair.pictures()
        ]


def test_a_name_that_leads_elsewhere_is_refused(pairs: tuple[Pair, ...], tmp_path: Path) -> None:
    packed_into(tmp_path, pairs)
    index = tmp_path / "train" / "index.jsonl"
    for name in ("../../x", "/x"):
        index.write_text(index.read_text().replace('"id": "a"', f'"id": "{name}"'))
        with pytest.raises(DataError, match=f"names a pair {name}"):
            read_packed(tmp_path / "train")
        index.write_text(index.read_text().replace(f'"id": "{name}"', '"id": "a"'))


def test_what_is_packed_is_not_decoded_again(
    pairs: tuple[Pair, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed_into(tmp_path, pairs)
    monkeypatch.setattr(FilePicture, "pixels", lambda *_: pytest.fail("decoded again"))
    assert len(packed_into(tmp_path, pairs)) == 7


def test_kinds_of_pictures_and_groups_are_kept(tmp_path: Path) -> None:
    sixteen = FilePicture(put(tmp_path / "a.png", picture(0, np.uint16)))
    grey = FilePicture(put(tmp_path / "b.tif", picture(1)[..., :1].astype(np.float32) / 255))
    pairs = (
        Pair(id="a", views=(sixteen, sixteen), target=sixteen, group="indoor"),
        Pair(id="b", views=(grey,), target=None),
        Pair(id="c", views=(), target=grey),
    )
    packed = packed_into(tmp_path / "p", pairs)
    assert same(packed, pairs)
    assert [(len(pair.views), pair.group) for pair in packed] == [
        (2, "indoor"),
        (1, None),
        (0, None),
    ]
    assert [pair.target is None for pair in packed] == [False, True, False]
    assert [pair.pixels().dtype for pair in packed[0].views] == [np.uint16, np.uint16]
    assert packed[1].views[0].pixels().dtype == np.float32


def test_pieces_are_cut_at_their_size(
    pairs: tuple[Pair, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = 24 * 32 * 3
    monkeypatch.setattr(packing, "PIECE_BYTES", 3 * one + 200)
    packed = packed_into(tmp_path, pairs)
    pieces = sorted((tmp_path / "train").glob("piece-*.bin"))
    assert [piece.stat().st_size // one for piece in pieces] == [3, 3, 3, 3, 2]
    assert same(packed, pairs)
    assert sum(piece.stat().st_size for piece in pieces) <= bytes_needed(pairs)


@pytest.mark.parametrize("lines_kept", [0, 1, 4, 6])
@pytest.mark.parametrize("torn", [b"", b'{"id": "x", "vi'])
def test_packing_goes_on_where_it_was_stopped(
    lines_kept: int, torn: bytes, pairs: tuple[Pair, ...], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(packing, "PIECE_BYTES", 3 * 24 * 32 * 3 + 200)

    def stop(done: int, _: int) -> None:
        if done == max(lines_kept, 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packed_into(tmp_path, pairs, progress=stop)
    index = tmp_path / "train" / "index.jsonl"
    lines = index.read_bytes().splitlines(keepends=True)[:lines_kept]
    index.write_bytes(b"".join(lines) + torn)
    with pytest.raises(DataError, match="is not packed to the end; run the same `mirnet prepare`"):
        scan_packed(tmp_path, "pairs", "train")
    decoded: list[int] = []
    packed = packed_into(tmp_path, pairs, progress=lambda done, _: decoded.append(done))
    assert decoded == list(range(lines_kept + 1, 8))
    assert same(packed, pairs)


def test_a_kill_at_any_moment_costs_nothing_but_time(
    pairs: tuple[Pair, ...], tmp_path: Path
) -> None:
    code = (
        "import sys, time; from pathlib import Path; from mirnet.data.sources import find_pairs;"
        "from mirnet.data.packing import pack; folder, out = map(Path, sys.argv[1:]);"
        "pack(find_pairs(folder), out, dataset='pairs', split='train',"
        " progress=lambda done, of: (print(done, flush=True), time.sleep(0.05)))"
    )
    folder = Path(pairs[0].place).parent.parent
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder), str(tmp_path / "p")], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert same(packed_into(tmp_path / "p", pairs), pairs)


def test_changed_pictures_are_not_mixed_with_packed_ones(
    pairs: tuple[Pair, ...], tmp_path: Path
) -> None:
    packed_into(tmp_path / "p", pairs)
    os.utime(pairs[3].place, ns=(1, 1))
    with pytest.raises(DataError, match="holds other pictures, or older ones; remove it"):
        packed_into(tmp_path / "p", pairs)


def test_a_picture_that_can_t_be_read_is_left_out_and_named(
    pairs: tuple[Pair, ...], tmp_path: Path
) -> None:
    broken = Path(pairs[2].place)
    broken.write_bytes(broken.read_bytes()[:80])
    first = pack(pairs, tmp_path / "p", dataset="pairs", split="train")
    again = read_packed(tmp_path / "p" / "train")
    for packed in (first, again):
        assert [pair.id for pair in packed.pairs] == ["a", "b", "d", "e", "f", "g"]
        assert str(broken) in packed.unreadable["c"]
    for pair in pairs:
        Path(pair.place).write_bytes(b"")
    with pytest.raises(DataError, match="none of 7 pairs can be read; a: "):
        packed_into(tmp_path / "other", pairs)


def test_pairs_of_unequal_size_are_left_out(pairs: tuple[Pair, ...], tmp_path: Path) -> None:
    put(Path(pairs[0].place), picture(0))
    packed = pack(pairs, tmp_path / "p", dataset="pairs", split="train")
    assert "are of unequal size" in packed.unreadable["a"]


def test_room_is_asked_for_before_anything_is_written(
    pairs: tuple[Pair, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = bytes_needed(pairs)
    assert needed >= 7 * 2 * 24 * 32 * 3
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(DataError, match=r"packing takes 0\.0 GB, and 0\.0 GB are free; make room"):
        packed_into(tmp_path, pairs)
    assert not list((tmp_path / "train").glob("piece-*"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed))
    assert len(packed_into(tmp_path, pairs)) == 7


def test_a_disk_that_fills_is_one_line_and_packing_goes_on_later(
    pairs: tuple[Pair, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mirnet.data.packing._Writer.add", full)
        with pytest.raises(DataError, match=r"can't be written \(No space left on device\); make"):
            packed_into(tmp_path, pairs)
    assert same(packed_into(tmp_path, pairs), pairs)


def test_damage_of_what_was_packed_is_told(pairs: tuple[Pair, ...], tmp_path: Path) -> None:
    packed_into(tmp_path, pairs)
    with pytest.raises(DataError, match="was packed from pairs, not sidd"):
        find_pairs(tmp_path, "sidd", "train")
    piece = tmp_path / "train" / "piece-00000.bin"
    os.truncate(piece, piece.stat().st_size - 1)
    with pytest.raises(DataError, match="is missing or cut; remove"):
        find_pairs(tmp_path, "pairs", "train")
    piece.unlink()
    with pytest.raises(DataError, match="is missing or cut; remove"):
        find_pairs(tmp_path, "pairs", "train")
    head = tmp_path / "train" / "pack.json"
    for text in ("{", "[]", json.dumps({"version": 0}), ""):
        head.write_text(text)
        assert is_packed(tmp_path, "train")
        with pytest.raises(DataError, match="can't be used; remove"):
            find_pairs(tmp_path, "pairs", "train")


def test_few_files_are_open_however_many_pictures_there_are(
    pairs: tuple[Pair, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "PIECE_BYTES", 24 * 32 * 3)
    many = tuple(Pair(id=str(n), views=(), target=pairs[n % 7].target) for n in range(60))
    packed = packed_into(tmp_path, many)
    assert len(list((tmp_path / "train").glob("piece-*"))) == 60
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 40, hard)
    )
    try:
        for pair in packed:
            assert pair.target is not None
            pair.target.pixels(Region(0, 0, 4, 4))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
