"""Decode a picture once; afterwards read only the crop that is needed."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.atomic import replacing
from mirnet.errors import DataError
from mirnet.imaging.io import read_photo


class DecodedPictures:
    """Pictures as memory-mapped arrays in a cache folder.

    A picture is decoded when it is first asked for and stored uncompressed; after that a 128×128
    crop of a 12-megapixel photo touches 128 rows of it. A file that has changed is decoded again.
    Several processes and runs may share a folder. It takes as much as the pictures do uncompressed.
    """

    def __init__(self, folder: Path) -> None:
        """Use ``folder`` for the arrays; it is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def get(self, path: Path) -> NDArray[Any]:
        """The picture, upright, ``(H, W, 1)`` or ``(H, W, 3)``, uint8, uint16 or float32."""
        status = path.stat()
        key = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        stored = self.folder / f"{name}.npy"
        if not stored.exists():
            pixels = read_photo(path).pixels
            try:
                with replacing(stored) as temporary:
                    np.save(temporary, pixels)
            except OSError as error:
                raise DataError(
                    f"{self.folder}: can't be written ({error.strerror}); make room, or set "
                    "data.cache to a folder on another disk"
                ) from error
        return _open(stored)


# Each open map costs a file descriptor, of which a process may have 256.
@lru_cache(maxsize=32)
def _open(stored: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(stored, mmap_mode="r")
    return array
