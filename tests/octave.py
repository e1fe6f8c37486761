"""GNU Octave, which reads and computes what the benchmarks' own MATLAB tools do."""

import shutil
import subprocess
from functools import cache

import pytest


def octave(script: str) -> str:
    """What a script prints."""
    done = subprocess.run(
        ["octave", "--no-gui", "--norc", "--eval", script],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout


@cache
def has_image_package() -> bool:
    if shutil.which("octave") is None:
        return False
    try:
        octave("pkg load image")
    except subprocess.CalledProcessError:
        return False
    return True


needs_octave = pytest.mark.skipif(shutil.which("octave") is None, reason="needs GNU Octave")
needs_image_package = pytest.mark.skipif(
    not has_image_package(), reason="needs GNU Octave and its package image"
)
