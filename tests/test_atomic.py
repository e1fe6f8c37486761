import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mirnet.atomic import remove_abandoned, replacing


def test_what_is_written_becomes_the_file(tmp_path: Path) -> None:
    target = tmp_path / "photo.png"
    with replacing(target) as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path
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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file mode mask")
def test_the_file_has_the_mode_that_any_new_file_has(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    with replacing(tmp_path / "ours") as temporary:
        temporary.write_bytes(b"")
        temporary.chmod(0o600)
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 251 + ".png")
    with replacing(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"


def test_threads_that_write_one_file_don_t_meet(tmp_path: Path) -> None:
    target = tmp_path / "photo.png"

    def write(content: int) -> None:
        with replacing(target) as temporary:
            for _ in range(50):
                with temporary.open("ab") as file:
                    file.write(bytes([content]) * 100)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(40)))
    content = target.read_bytes()
    assert len(content) == 5000
    assert len(set(content)) == 1
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_is_removed_and_that_of_a_living_one_is_not(
    tmp_path: Path,
) -> None:
    code = (
        "import os, sys, pathlib; from mirnet.atomic import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half')\n    os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with replacing(tmp_path / "b.png") as temporary:
        temporary.write_bytes(b"whole")
        remove_abandoned(tmp_path)
        assert list(tmp_path.iterdir()) == [temporary]
    assert (tmp_path / "b.png").read_bytes() == b"whole"
