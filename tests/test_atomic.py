import os
import stat
from pathlib import Path

import pytest

from mirnet.atomic import replacing


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
