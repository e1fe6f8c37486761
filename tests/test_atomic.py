import os
import platform
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from mirnet.atomic import (
    marked,
    new_folder,
    remove_leftovers,
    remove_signed,
    replacing,
    require_folder,
    signature,
    temporary_folder,
)


def test_what_is_written_becomes_the_file(tmp_path: Path) -> None:
    target = tmp_path / "photo.png"
    with replacing(target) as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".mirnet-")
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "photo.png"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="no luck"), replacing(target) as temporary:
        temporary.write_bytes(b"half of the n")
        raise RuntimeError("no luck")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "photo.png"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "x." + "y" * 253, "é" * 125 + ".jpeg"])
def test_a_name_as_long_as_the_disk_allows_can_be_written(name: str, tmp_path: Path) -> None:
    assert len(name.encode()) == 255
    with replacing(tmp_path / name) as temporary:
        temporary.write_bytes(b"new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_threads_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    target, together = tmp_path / "photo.png", Barrier(2, timeout=10)

    def write(content: bytes) -> None:
        with replacing(target) as temporary:
            together.wait()
            temporary.write_bytes(content)
            together.wait()
            assert temporary.read_bytes() == content
            together.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, [b"one", b"another"]))
    assert target.read_bytes() in (b"one", b"another")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("place", ["gone/photo.png", "file/photo.png", "folder", "x" * 300])
def test_a_place_that_can_t_be_written_is_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as caught, replacing(tmp_path / place) as temporary:
        temporary.write_bytes(b"new")
    assert caught.value.filename == str(tmp_path / place)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, replacing(tmp_path / "photo.png"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "photo.png")


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "photo.png"):
        (tmp_path / "source").read_bytes()
    assert caught.value.filename == str(tmp_path / "source")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file mode mask")
def test_the_mode_mask_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It is the process's: two threads that set and restore it can leave it changed.
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("was set"))
    with replacing(tmp_path / "photo.png") as temporary:
        temporary.touch()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file mode mask")
def test_the_file_has_the_mode_that_any_new_file_has(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    with replacing(tmp_path / "ours") as temporary:
        temporary.write_bytes(b"")
        temporary.chmod(0o600)
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    require_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        require_folder(tmp_path / "file")


def test_only_what_dead_processes_of_this_machine_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import os, sys; from mirnet.atomic import *; from pathlib import Path\n"
    script += "with replacing(Path(sys.argv[1])) as file: file.touch(); os._exit(1)"
    for folder in ("ours", "theirs"):
        (tmp_path / folder).mkdir()
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / folder / "photo.png")], check=False
        )
    (left,) = (tmp_path / "ours").iterdir()
    for name in ("photo.png", ".mirnet-notes.tmp"):
        (tmp_path / "ours" / name).touch()
    with replacing(tmp_path / "ours" / "a.png") as mine:
        mine.touch()
        remove_leftovers(tmp_path / "ours")
        assert mine.exists()
    assert not left.exists()
    assert {path.name for path in (tmp_path / "ours").iterdir()} == {
        "a.png", "photo.png", ".mirnet-notes.tmp",
    }  # fmt: skip
    monkeypatch.setattr(platform, "node", lambda: "another machine")
    remove_leftovers(tmp_path / "theirs")
    assert len(list((tmp_path / "theirs").iterdir())) == 1
    remove_leftovers(tmp_path / "nowhere")


def test_what_another_container_writes_is_left_until_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its processes have numbers that are nobody's here, or another's."""
    nobody = 2**22 + 1
    ours, theirs = (
        tmp_path / f"{signature()}{name}.tmp.png".replace(f"-{os.getpid()}-", f"-{nobody}-")
        for name in ("a", "b")
    )
    theirs = theirs.with_name(theirs.name.replace(signature().split("-")[3], "01234567"))
    old = theirs.with_name(f"{theirs.name}.old")
    for file in (ours, theirs, old):
        file.touch()
    os.utime(old, (0, 0))
    remove_leftovers(tmp_path)
    assert [*tmp_path.iterdir()] == [theirs]


def test_a_folder_of_a_process_that_was_killed_goes_with_what_is_in_it(tmp_path: Path) -> None:
    script = "import os, sys; from mirnet.atomic import *; from pathlib import Path\n"
    script += "with temporary_folder(Path(sys.argv[1])) as here: (here / 'a').touch(); os._exit(1)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert [each.name for each in left.iterdir()] == ["a"]
    with temporary_folder(tmp_path) as ours:
        (ours / "b").touch()
        remove_leftovers(tmp_path)
        assert [*tmp_path.iterdir()] == [ours]
    assert not [*tmp_path.iterdir()]


def test_a_folder_made_for_nothing_goes_again(tmp_path: Path) -> None:
    def fail_in(folder: Path, name: str | None = None) -> None:
        with pytest.raises(RuntimeError), new_folder(folder):
            if name:
                (folder / name).touch()
            raise RuntimeError

    (tmp_path / "theirs").mkdir()
    fail_in(tmp_path / "theirs")
    fail_in(tmp_path / "theirs" / "a" / "b")
    assert list((tmp_path / "theirs").iterdir()) == []
    fail_in(tmp_path / "ours" / "a", "work")
    assert (tmp_path / "ours" / "a" / "work").exists()
    with new_folder(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").exists()


def test_the_files_of_one_process_are_removed_by_its_signature(tmp_path: Path) -> None:
    other = tmp_path / signature().replace(f"-{os.getpid()}-", f"-{os.getpid()}1-")
    other = other.with_name(other.name + "ab.tmp.png")
    other.touch()
    with replacing(tmp_path / "a.png") as mine:
        mine.touch()
        remove_signed(tmp_path, signature())
        assert not mine.exists()
        mine.touch()
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", other.name}
    remove_signed(tmp_path / "nowhere", signature())


def test_a_mark_is_there_for_a_block(
    tmp_path: Path,
) -> None:
    with pytest.raises(RuntimeError), marked(tmp_path / "new") as mark:
        assert mark.is_file()
        assert mark.name.startswith(signature())
        raise RuntimeError
    assert list((tmp_path / "new").iterdir()) == []
