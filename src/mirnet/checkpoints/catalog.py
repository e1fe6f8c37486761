"""Weights known by name: which file, and how to tell that it is the right one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirnet.checkpoints import hub
from mirnet.checkpoints.hub_address import is_address
from mirnet.environment import file_sha256
from mirnet.errors import CheckpointError, UnknownWeightsError

PACKAGED = Path(__file__).parent.parent / "weights"
"""The folder of the package that holds weights and their model cards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weights that ship with mirnet.

    Attributes:
        name: what users type; ``NAME.safetensors`` and its model card ``NAME.md`` lie in the
            package.
        task: the name of the task that they are for.
        sha256: of the file.
        summary: what they are good for, in one line.
    """

    name: str
    task: str
    sha256: str
    summary: str

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return PACKAGED / f"{self.name}.safetensors"

    @property
    def card(self) -> Path:
        """Where the model card lies."""
        return PACKAGED / f"{self.name}.md"


CATALOG: dict[str, Weights] = {
    weights.name: weights
    for weights in (
        Weights(
            name="denoising-small",
            task="denoising",
            sha256="64e1d815e2cf6f722f2adb985527476143cfcd9d0a9b0cf5974960a0a9169bbb",
            summary="noise of phones and of little light; the small network, 0.5 M parameters",
        ),
        Weights(
            name="super-resolution-small",
            task="super-resolution",
            sha256="8a03f59fcd15bdec908522a8e1b70bf9d1782597df2ff284ea97dd5087c06fb5",
            summary="sharpens what was enlarged 2 to 4 times; the small network",
        ),
        Weights(
            name="low-light-small",
            task="low-light",
            sha256="b28e49c81e9d0dd72f41e6f7b716c983e287a17b23492dbd88ad098e492ca678",
            summary="brightens photos taken with too little light; the small network",
        ),
        Weights(
            name="retouching-small",
            task="retouching",
            sha256="563f2f89a2b94b16aba2def65eb80e7abe0f0e81f3d9d4cd38b702e03caf91bc",
            summary="tones and colours of a retoucher, learnt from ten pairs; the small network",
        ),
        Weights(
            name="dual-pixel-deblurring-small",
            task="dual-pixel-deblurring",
            sha256="9a5f44841ef7a08c95473a766e0b59fbe29a1a7bf1c14a3db40ec251b2ddb34c",
            summary="sharpens a little what is out of focus, from two views; the small network",
        ),
    )
}

DEFAULTS = {weights.task: weights.name for weights in reversed(CATALOG.values())}
"""The weights that a task's name stands for: the first of the task."""


def resolve(name_or_path: str | Path) -> Path:
    """The file that a task's name, the name of weights, an address on a hub or a path means.

    Raises:
        UnknownWeightsError: it is neither a name nor an existing file.
        CheckpointError: the packaged file is missing or has been changed, or what `hub.fetch`
            raises.
    """
    if is_address(name_or_path):
        return hub.fetch(name_or_path).path
    name = DEFAULTS.get(str(name_or_path), str(name_or_path))
    if name in CATALOG:
        return verified(CATALOG[name])
    path = Path(name_or_path)
    if not path.exists():
        known = ", ".join([*DEFAULTS, *CATALOG])
        raise UnknownWeightsError(
            f"{name_or_path}: neither a weights file nor known weights ({known}), nor an "
            "hf:// address; for another task train your own, or convert released ones with "
            "`mirnet convert`"
        )
    return path


def verified(weights: Weights) -> Path:
    """The file of these weights, after a look at its hash."""
    if not weights.path.is_file():
        raise CheckpointError(f"{weights.path}: is missing; reinstall mirnet")
    if file_sha256(weights.path) != weights.sha256:
        raise CheckpointError(f"{weights.path}: was changed since its release; reinstall mirnet")
    return weights.path
