"""What of a network's config concerns those who use it, and how its fields are checked."""

from __future__ import annotations

import reprlib
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self, get_args

from mirnet.choices import NetworkName
from mirnet.errors import ConfigError

Residual = Literal["image", "features"]
MOST_CHANNELS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """What a network is made of, as far as it concerns those who use it.

    Attributes:
        in_channels: channels of the input; 6 for the two views of a dual-pixel photo.
        out_channels: channels of the output.
        residual: what the network adds at its end: the input image, or the features of its first
            convolution (when there is no image to add, as for dual-pixel deblurring).
    """

    NETWORK: ClassVar[NetworkName]

    in_channels: int = 3
    out_channels: int = 3
    residual: Residual = "image"

    @property
    def depth(self) -> int:
        """Blocks in a row, each of which has weights of its own."""
        raise NotImplementedError

    @property
    def multiple(self) -> int:
        """Height and width inside the network are multiples of this."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The config with these fields; unknown ones are refused by name."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigError(
                f"{ascii(unknown[0])[1:-1]}: no such field of a {cls.NETWORK} config; it has "
                f"{', '.join(known)}"
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON or TOML."""
        return asdict(self)

    def with_changes(self, **changes: Any) -> Self:
        """The same config but for these fields, checked again."""
        return replace(self, **changes)

    def check_ends(self, *, adds_image: bool = True) -> None:
        """Check the fields that are here. Raises ConfigError that names the field and the rule."""
        for name in ("in_channels", "out_channels"):
            require_int(name, getattr(self, name), 1, MOST_CHANNELS)
        require_choice("residual", self.residual, get_args(Residual))
        adds_image = adds_image and self.residual == "image"
        if adds_image and self.in_channels != self.out_channels:
            raise ConfigError(
                f'residual: "image" adds the input to the output, but in_channels is '
                f"{self.in_channels} and out_channels {self.out_channels}; "
                'use residual="features"'
            )


def require_int(name: str, value: Any, low: int, high: int) -> None:
    """Raise ConfigError unless ``value`` is a whole number in this range."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        raise ConfigError(
            f"{name}: must be a whole number from {low} to {high}, got {shown(value)}"
        )


def require_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise ConfigError unless ``value`` is one of these."""
    if value not in choices:
        listed = ", ".join(f'"{choice}"' for choice in choices)
        raise ConfigError(f"{name}: must be one of {listed}, got {shown(value)}")


def shown(value: Any) -> str:
    """A value for a message; Python refuses to print numbers of thousands of digits."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of thousands of digits"
