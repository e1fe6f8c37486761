"""Pictures in MATLAB's files: blocks of an array (version 5) and whole arrays (7.3, HDF5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.data.picture import Layout, Pixels, Region, file_stamp
from mirnet.errors import DataError, MissingDependencyError


@dataclass(frozen=True, slots=True)
class MatBlock:
    """A block of an array of blocks, ``(scenes, blocks, H, W, 3)``, in a file of version 5."""

    path: Path
    variable: str
    scene: int
    block: int

    @property
    def place(self) -> str:
        """The file, and the block as MATLAB counts."""
        return f"{self.path} {self.variable}({self.scene + 1},{self.block + 1})"

    def layout(self) -> Layout:
        """Size and type of every block."""
        _, _, height, width, channels, dtype = blocks_layout(self.path, self.variable)
        return Layout(height, width, channels, dtype)

    def pixels(self, region: Region | None = None) -> Pixels:
        """The block, or a region of it."""
        block: Pixels = _blocks(self.path, self.variable)[self.scene, self.block]
        return block if region is None else block[region.window]

    def stamp(self) -> str:
        """The file's, and the block."""
        return f"{file_stamp(self.path)}\0{self.scene}\0{self.block}"


@dataclass(frozen=True, slots=True)
class Mat73Picture:
    """A picture ``H×W×3`` in a file of version 7.3, floats in [0, 1]; its axes lie reversed."""

    path: Path
    variable: str

    @property
    def place(self) -> str:
        """The file and the variable."""
        return f"{self.path} {self.variable}"

    def layout(self) -> Layout:
        """Its size; always float32."""
        with open_hdf5(self.path) as file:
            channels, width, height = _variable(file, self.path, self.variable).shape
        return Layout(height, width, channels, "float32")

    def pixels(self, region: Region | None = None) -> Pixels:
        """The picture, or a region, of which no more is read than its chunks."""
        rows, columns = region.window if region else (slice(None), slice(None))
        with open_hdf5(self.path) as file:
            planes = _variable(file, self.path, self.variable)[:, columns, rows]
        return np.ascontiguousarray(planes.transpose(2, 1, 0), dtype=np.float32)

    def stamp(self) -> str:
        """The file's."""
        return file_stamp(self.path)


def blocks_layout(path: Path, variable: str) -> tuple[int, int, int, int, int, str]:
    """``(scenes, blocks, height, width, channels, type)`` of an array of blocks.

    Raises DataError if the file or the variable is missing or no such array.
    """
    blocks = _blocks(path, variable)
    scenes, count, height, width, channels = blocks.shape
    return scenes, count, height, width, channels, blocks.dtype.name


def open_hdf5(path: Path) -> Any:
    """The ``h5py.File`` of a file of version 7.3. DataError names what is wrong with it."""
    try:
        import h5py  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise _missing("h5py") from error
    if not path.is_file():
        raise DataError(f"{path}: is missing; fetch it from the data set's publisher")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: is no MATLAB 7.3 file, or damaged; fetch it again") from error


def _variable(file: Any, path: Path, variable: str) -> Any:
    array = file.get(variable)
    if array is None or len(array.shape) != 3 or array.shape[0] != 3:
        raise DataError(f"{path}: holds no H×W×3 array {variable}; is it of this data set?")
    return array


def _blocks(path: Path, variable: str) -> NDArray[Any]:
    if not path.is_file():
        raise DataError(f"{path}: is missing; fetch it from the data set's publisher")
    return _loaded(path, variable, file_stamp(path))


# One noisy and one clean array of 250 MB are as much as a benchmark needs at a time.
@lru_cache(maxsize=2)
def _loaded(path: Path, variable: str, _stamp: str) -> NDArray[Any]:
    try:
        from scipy.io import loadmat  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise _missing("scipy") from error
    try:
        found = loadmat(path, variable_names=[variable])
    except Exception as error:
        raise DataError(f"{path}: is no MATLAB 5 file, or damaged; fetch it again") from error
    blocks = found.get(variable)
    if blocks is None or blocks.ndim != 5 or blocks.shape[4] != 3 or blocks.dtype != np.uint8:
        raise DataError(
            f"{path}: holds no array {variable} of scenes × blocks × H × W × 3 bytes; is it of "
            "this data set?"
        )
    array: NDArray[Any] = blocks
    return array


def _missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(
        f'.mat files need {package}, which is not installed; pip install "mirnet[train]"'
    )
