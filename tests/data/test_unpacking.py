"""Archives, honest and hostile."""

import io
import os
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mirnet.data.unpacking import SUFFIXES, unpack
from mirnet.errors import DataError

FILES = {"a/1.png": b"one" * 1000, "a/b/2.png": os.urandom(5000), "3.txt": b""}


def archive_of(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.mkdir("a") if "a/1.png" in files else None
            for name, content in files.items():
                zipped.writestr(name, content)
        return path
    kind = {".gz": "gz", ".tgz": "gz", ".bz2": "bz2", ".xz": "xz"}.get(path.suffix, "")
    with tarfile.open(path, f"w:{kind}") as tarred:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode, info.uid = 0o4777, 12345
            tarred.addfile(info, io.BytesIO(content))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_comes_out_as_it_went_in(suffix: str, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / f"data{suffix}", FILES)
    seen: list[tuple[int, int]] = []
    unpack(archive, tmp_path / "out", progress=lambda done, of: seen.append((done, of)))
    assert tree(tmp_path / "out") == dict(sorted(FILES.items()))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert (tmp_path / "out" / "3.txt").stat().st_mode & 0o4111 == 0


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_unpacking_goes_on_where_it_was_stopped(suffix: str, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / f"data{suffix}", FILES)

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out", progress=stop)
    first = tmp_path / "out" / "a" / "1.png"
    os.utime(first, ns=(1, 1))
    unpack(archive, tmp_path / "out")
    assert first.stat().st_mtime_ns == 1
    assert tree(tmp_path / "out") == dict(sorted(FILES.items()))


def test_a_file_with_another_checksum_is_written_again(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "data.zip", FILES)
    unpack(archive, tmp_path / "out")
    (tmp_path / "out" / "a" / "1.png").write_bytes(b"two" * 1000)
    unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == dict(sorted(FILES.items()))


NAMES = ("../up.txt", "/abs.txt", "a/../../up", "C:/x", "a\\..\\b", "x\ny", "..", "a:b")


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere_are_refused(suffix: str, name: str, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / f"data{suffix}", {"ok.txt": b"1", name: b"2"})
    with pytest.raises(DataError, match="would lie elsewhere; don't trust this archive"):
        unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {}


def with_link(path: Path, kind: bytes) -> Path:
    with tarfile.open(path, "w") as tarred:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        tarred.addfile(info)
    return path


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'link' is a link or a device"):
        unpack(with_link(tmp_path / "data.tar", kind), tmp_path / "out")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as zipped:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        zipped.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="'link' is a link or a device"):
        unpack(tmp_path / "data.zip", tmp_path / "out")


def test_a_link_that_lies_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="a link in the way leads elsewhere"):
        unpack(archive_of(tmp_path / "data.zip", FILES), tmp_path / "out")
    assert tree(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("names", [("a/x", "A/X"), ("x", "x"), ("x", "x/y")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_for_one_place_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name in names:
            zipped.writestr(name, name)
    with pytest.raises(DataError, match="twice"):
        unpack(path, tmp_path / "out")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "data.zip", {"x": b"1"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="'x' is encrypted"):
        unpack(path, tmp_path / "out")


def test_room_is_asked_for_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_of(tmp_path / "data.zip", FILES)
    total = sum(map(len, FILES.values()))
    with pytest.raises(DataError, match=r"takes 0\.0 GB unpacked, and there is room for 0\.0 GB"):
        unpack(archive, tmp_path / "out", most_bytes=total - 1)
    assert tree(tmp_path / "out") == {}
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=total - 1))
    with pytest.raises(DataError, match="there is room for"):
        unpack(archive, tmp_path / "out")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=total))
    unpack(archive, tmp_path / "out")


def test_a_bomb_whose_header_lies_is_stopped(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "data.zip", {"bomb": bytes(1_000_000)})
    data = bytearray(path.read_bytes())
    for place in (22, data.index(b"PK\x01\x02") + 24):
        data[place : place + 4] = struct.pack("<I", 10)
    path.write_bytes(data)
    with pytest.raises(DataError):
        unpack(path, tmp_path / "out", most_bytes=1000)
    assert sum(len(content) for content in tree(tmp_path / "out").values()) <= 10


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz"])
def test_a_cut_archive_is_named(suffix: str, tmp_path: Path) -> None:
    whole = archive_of(tmp_path / f"whole{suffix}", FILES).read_bytes()
    cut = tmp_path / f"cut{suffix}"
    # A .tar is filled up with zeros: the members of this one end at 9,728 bytes.
    length = 9728 if suffix == ".tar" else len(whole)
    for part in (0, 10, length // 2, length * 3 // 4, length * 9 // 10):
        cut.write_bytes(whole[:part])
        with pytest.raises(DataError, match="cut"):
            unpack(cut, tmp_path / f"out{part}")
    for path in tmp_path.glob("out*"):
        assert not list(path.rglob(".*.part"))


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "data.zip", {"ok.png": b"1", "noise.png": os.urandom(4000)})
    data = bytearray(path.read_bytes())
    data[600] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"noise\.png is damaged"):
        unpack(path, tmp_path / "out")
    assert tree(tmp_path / "out") == {"ok.png": b"1"}


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"x"), lambda path: path.mkdir()])
def test_what_is_no_archive_is_named(make: Callable[[Path], object], tmp_path: Path) -> None:
    for name in ("data.rar", "data.zip", "data.tar"):
        make(tmp_path / name)
        with pytest.raises(DataError, match=name):
            unpack(tmp_path / name, tmp_path / "out")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(names=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=3))
@example(names=["\x00"])
@example(names=["../a\x00b"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_name_escapes(names: list[str], tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    try:
        with zipfile.ZipFile(root / "data.zip", "w") as zipped:
            for name in names:
                entry = zipfile.ZipInfo()
                entry.filename = name  # as it is: ZipInfo cuts a name at its first NUL
                zipped.writestr(entry, b"x")
    except (ValueError, UnicodeError):
        return
    with suppress(DataError):
        unpack(root / "data.zip", root / "out")
    assert {path.name for path in root.iterdir()} <= {"data.zip", "out"}
    assert {path.name for path in tmp_path.iterdir()} == {"root"}
