"""LPIPS: how alike two images are to a network that was trained to see (Zhang et al., CVPR 2018).

The form of Table 2: AlexNet, version 0.1. Neither the trunk's weights nor the linear ones come with
mirnet: the trunk is a file that you fetch, the linear weights lie in the package torchmetrics. Both
are checked by their SHA-256, so that the metric is the one that everybody means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mirnet.environment import file_sha256
from mirnet.errors import CheckpointError, MissingDependencyError
from mirnet.metrics.inputs import checked_pair, require_data_range

TRUNK = "alexnet-owt-7be5be79.pth"
TRUNK_URL = f"https://download.pytorch.org/models/{TRUNK}"
TRUNK_SHA256 = "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"
LINEAR_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"

CONVOLUTIONS = (
    (0, 4, 2, False),
    (3, 1, 2, True),
    (6, 1, 1, True),
    (8, 1, 1, False),
    (10, 1, 1, False),
)
"""AlexNet's: number in the file, stride, padding, whether a 3×3 maximum of stride 2 is before."""
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Of images in [-1, 1], so that they are as those that AlexNet was trained on."""
LEAST_SIDE = 31
"""Below, nothing is left after the second maximum."""
EPSILON = 1e-10


@dataclass(frozen=True, slots=True)
class Lpips:
    """The metric with its weights.

    Attributes:
        trunk: AlexNet's weights by name: ``features.0.weight``, ``features.0.bias`` and so on.
        linear: one weight for each channel of the five feature maps.
    """

    trunk: Mapping[str, Tensor]
    linear: Sequence[Tensor]

    def __call__(self, output: Tensor, target: Tensor, *, data_range: float) -> Tensor:
        """The distance of each image; lower is closer, 0 for identical images.

        Args:
            output: ``(N, 3, H, W)``, any real dtype, at least 31×31.
            target: same shape.
            data_range: what lies between black and white: 1 or 255.

        Returns:
            ``(N,)`` in float64.

        Raises:
            ValueError: shapes differ, are not ``(N, 3, H, W)`` or too small, or ``data_range`` is
                not above 0.
            NonFiniteError: a value is NaN or infinite.
        """
        require_data_range(data_range)
        output, target = checked_pair(output, target)
        if output.shape[1] != 3 or min(output.shape[2:]) < LEAST_SIDE:
            raise ValueError(
                f"LPIPS takes RGB images of at least {LEAST_SIDE}×{LEAST_SIDE} pixels, got "
                f"{tuple(output.shape[1:])}"
            )
        scores = output.new_zeros(len(output))
        for i in range(len(output)):  # one at a time: features are large
            ours, theirs = (self._features(x[i : i + 1] / data_range) for x in (output, target))
            for a, b, weight in zip(ours, theirs, self.linear, strict=True):
                difference = (_normalized(a) - _normalized(b)) ** 2
                scores[i] += (difference * weight.to(difference).view(1, -1, 1, 1)).sum(1).mean()
        return scores

    def _features(self, image: Tensor) -> list[Tensor]:
        """AlexNet's five feature maps of an image ``(1, 3, H, W)`` in [0, 1]."""
        shift, scale = (image.new_tensor(values).view(1, 3, 1, 1) for values in (SHIFT, SCALE))
        features, found = (2 * image - 1 - shift) / scale, []
        for number, stride, padding, is_pooled in CONVOLUTIONS:
            if is_pooled:
                features = F.max_pool2d(features, 3, 2)
            weight, bias = (self.trunk[f"features.{number}.{kind}"] for kind in ("weight", "bias"))
            features = F.relu(
                F.conv2d(features, weight.to(features), bias.to(features), stride, padding)
            )
            found.append(features)
        return found


def load_lpips(trunk: Path) -> Lpips:
    """The metric, with the trunk's weights from a file, as PyTorch publishes them.

    Raises:
        CheckpointError: the file is missing or another.
        MissingDependencyError: the package that has the linear weights is not installed.
    """
    if not trunk.is_file():
        raise CheckpointError(f"{trunk}: there is no such file; LPIPS needs {TRUNK_URL}")
    return Lpips(
        trunk=_checked(trunk, TRUNK_SHA256, f"fetch {TRUNK_URL}"),
        linear=tuple(_checked(linear_weights(), LINEAR_SHA256, "reinstall torchmetrics").values()),
    )


def linear_weights() -> Path:
    """Where torchmetrics keeps LPIPS's linear weights; it is not imported."""
    package = find_spec("torchmetrics")
    if package is None or package.origin is None:
        raise MissingDependencyError(
            'LPIPS needs torchmetrics, which is not installed; pip install "mirnet[lpips]"'
        )
    return Path(package.origin).parent / "functional" / "image" / "lpips_models" / "alex.pth"


def _checked(path: Path, sha256: str, otherwise: str) -> dict[str, Tensor]:
    """The tensors of a file, once it is known to be the one that is meant."""
    try:
        found = file_sha256(path)
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({error.strerror}); {otherwise}") from error
    if found != sha256:
        raise CheckpointError(
            f"{path}: is not the file that LPIPS is defined with (SHA-256 {found[:12]}…, not "
            f"{sha256[:12]}…); {otherwise}"
        )
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _normalized(features: Tensor) -> Tensor:
    """Each position's features as a direction."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + EPSILON)
