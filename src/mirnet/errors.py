"""Every error that mirnet raises on purpose, but for wrong arguments in Python.

    MirnetError
    ├── ConfigError                  a network config breaks a rule (also a ValueError)
    ├── RecipeError                  a training recipe breaks a rule (also a ValueError)
    ├── CheckpointError              a weights file can't be used
    │   ├── UnsafeCheckpointError    it is a pickle that holds code
    │   └── UnknownWeightsError      no weights of that name are known
    ├── PhotoError                   a photo can't be read, written or restored
    │   ├── DamagedPhotoError        it is cut or overwritten; some of it may be decoded
    │   └── StoreError               its store does not answer, and may do so later
    ├── DeviceError                  a device or its arithmetic is not there
    ├── DataError                    a data folder is incomplete or inconsistent
    ├── NonFiniteError               a computation left the finite numbers
    ├── LostProcessError             another process of a training run has ended
    ├── ServerError                  a server refuses, or can't be reached
    ├── ClusterError                 Ray, or a node of its cluster, can't be used
    ├── InsufficientMemoryError      the work would not fit in memory
    └── MissingDependencyError       an optional package is not installed

A message is one line that says what was wrong, where, and what to do instead.
The command line prints it as it is and exits with a non-zero status.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class MirnetError(Exception):
    """Base of all errors that mirnet raises on purpose."""


class ConfigError(MirnetError, ValueError):
    """A network config breaks a rule. The message names the field and the rule."""


class RecipeError(MirnetError, ValueError):
    """A training recipe breaks a rule. The message names the key and the rule."""


class CheckpointError(MirnetError):
    """A weights file can't be used. The message names the file and the fault."""


class UnsafeCheckpointError(CheckpointError):
    """A weights file is a pickle that would run code when it is loaded."""


class UnknownWeightsError(CheckpointError):
    """No weights of that name are known. The message lists those that are."""


class PhotoError(MirnetError):
    """A photo can't be read, written or restored. The message names the file."""


class DamagedPhotoError(PhotoError):
    """A photo is cut or overwritten. What can be decoded of it is given where that is asked for."""


class StoreError(PhotoError):
    """A store does not answer, or breaks off, again and again. It is no fault of the photo's.

    Attributes:
        store: which.
        spent_s: seconds of all tries.
    """

    def __init__(self, message: str, *, store: str, spent_s: float) -> None:
        """Say what is wrong, and of which store."""
        super().__init__(message)
        self.store, self.spent_s = store, spent_s


class DeviceError(MirnetError):
    """A device, or arithmetic on it, is not there. The message says what there is."""


class DataError(MirnetError):
    """A data folder is incomplete or inconsistent. The message names the folder.

    Attributes:
        places: every file that is concerned, where a message names but a few.
    """

    def __init__(self, message: str, *, places: tuple[str, ...] = ()) -> None:
        """Say what is wrong, and where."""
        super().__init__(message)
        self.places = places


class NonFiniteError(MirnetError):
    """A computation gave NaN or infinity where only finite numbers make sense."""


class LostProcessError(MirnetError):
    """Another process of a training run has ended. The run goes on from its last state."""


class ServerError(MirnetError):
    """A server refuses what it is asked for, in its words, or can't be reached."""


class ClusterError(MirnetError):
    """Ray, or a node of its cluster, can't be used or is lost. What was restored is noted."""


class InsufficientMemoryError(MirnetError):
    """The work needs more memory, or scratch space, than there is.

    That is known before anything begins, unless others take what was free, or a second try in
    float32 needs more than the first did.
    """


class MissingDependencyError(MirnetError):
    """An optional package is missing. The message says what to install."""


def in_names(line: str, names: Mapping[Path, str]) -> str:
    """A line in which files have the names that their owner knows them by."""
    for path, name in names.items():
        line = line.replace(str(path), name)
    return line


def one_line(error: BaseException) -> str:
    """Its message, whatever wrote it, without line breaks; its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
