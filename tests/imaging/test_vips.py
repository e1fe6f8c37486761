from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import pyvips

from mirnet.imaging.vips import VipsError, guarded


def test_an_error_is_one_line_and_leaves_nothing_behind() -> None:
    with pytest.raises(VipsError) as info, guarded():
        pyvips.Image.new_from_buffer(b"no picture", "")
    assert "\n" not in str(info.value)
    assert pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer()) == b""


def test_an_error_that_is_no_text_is_one_line_too() -> None:
    with pytest.raises(VipsError) as info, guarded():
        # As pyvips does when it makes an error of a text that quotes a file.
        b"\xc8\xff".decode()
    assert str(info.value) == "no reason given"
    with guarded():
        assert pyvips.Image.black(2, 2).width == 2


FORKING = """
import os, sys
from mirnet.errors import PhotoError
from mirnet.imaging.io import read_photo
if sys.argv[2] == "after":
    read_photo(sys.argv[1])
pid = os.fork()
if pid == 0:
    try:
        read_photo(sys.argv[1])
        os._exit(0)
    except PhotoError as error:
        os._exit(3 if "forkserver" in str(error) else 4)
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.parametrize(("when", "status"), [("before", 0), ("after", 3)])
def test_a_forked_process_says_so_instead_of_hanging(when: str, status: int) -> None:
    photo = Path(__file__).parents[2] / "examples" / "phone-night.png"
    done = subprocess.run(
        [sys.executable, "-c", FORKING, str(photo), when], timeout=60, check=False
    )
    assert done.returncode == status
