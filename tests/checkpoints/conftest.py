"""How a file that can't be used is refused."""

from pathlib import Path

import pytest

from mirnet.checkpoints.load import load_model
from mirnet.errors import CheckpointError


def refused(path: Path, fault: str) -> None:
    with pytest.raises(CheckpointError, match=fault) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
