"""What a MIRNet-v2 network is made of: one frozen value, checked when it is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self, get_args

from mirnet.choices import NetworkName
from mirnet.errors import ConfigError
from mirnet.models.network_config import NetworkConfig, require_choice, require_int, shown

Fusion = Literal["skff", "sum", "concat"]
Block = Literal["rcb", "rcb-no-transform", "resblock"]

MOST = {"width": 1024, "blocks": 16, "streams": 3, "columns": 3}
"""The largest value of each number, far beyond what the paper tries: a file may name any."""
MOST_GROUPS = 16
MOST_WIDTH_FACTOR = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MIRNetV2Config(NetworkConfig):
    """The choices of MIRNet-v2 (Sec. 3 and Tables 7, 8, 9, 11). The defaults are the paper's.

    Attributes:
        width: channels C of the full-resolution stream.
        width_factor: how many times wider each stream is than the one above it.
        streams: parallel resolutions in a multi-scale residual block, 1–3 (rows of Table 11).
        columns: rounds of residual blocks and fusion in it, 1–3 (columns of Table 11).
        groups: groups of the 3×3 convolutions, one number for each recursive residual group (RRG);
            its length is the number of RRGs.
        blocks: multi-scale residual blocks (MRB) in each RRG.
        fusion: how streams are joined (Table 9): selective kernels, their sum, or a concatenation
            followed by a 1×1 convolution.
        block: the residual block on each stream (Table 8): the residual contextual block, the same
            without the two 1×1 convolutions of its feature transform, or EDSR's residual block.
            Table 7's "RCB off" is ``"resblock"``.
        skip_connections: ``False`` is Table 7's first column. We read it as all additions of a
            block's input gone: those of RCB, MRB and RRG and the outer one, since the network of
            that column scores below its own input.
        intermediate_fusion: whether streams are fused after every column but the last. "Off" in
            Table 7 is read as: the streams go on to the next column without any exchange.
        final_fusion: whether streams are fused after the last column. "Off" is read as: the
            full-resolution stream alone goes on to the block's last convolution.
    """

    NETWORK: ClassVar[NetworkName] = "mirnet-v2"

    width: int = 80
    width_factor: float = 1.5
    streams: int = 3
    columns: int = 2
    groups: tuple[int, ...] = (2, 2, 2, 2)
    blocks: int = 2
    fusion: Fusion = "skff"
    block: Block = "rcb"
    skip_connections: bool = True
    intermediate_fusion: bool = True
    final_fusion: bool = True

    def __post_init__(self) -> None:
        """Check every field. Raises ConfigError that names the field and the rule."""
        object.__setattr__(self, "groups", _as_groups(self.groups))
        self.check_ends(adds_image=self.skip_connections is True)
        for name, most in MOST.items():
            require_int(name, getattr(self, name), 1, most)
        for name, kind in (("fusion", Fusion), ("block", Block)):
            require_choice(name, getattr(self, name), get_args(kind))
        for name in ("skip_connections", "intermediate_fusion", "final_fusion"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}: must be true or false, got {getattr(self, name)!r}")
        self._check_widths()
        self._check_every_stream_is_used()

    @classmethod
    def released(cls) -> Self:
        """The paper's network as its released weights have it: 1, 2, 4, 4 groups."""
        return cls(groups=(1, 2, 4, 4))

    @classmethod
    def small(cls) -> Self:
        """A network that a laptop likes: same blocks, an eleventh of the arithmetic."""
        return cls(width=32, blocks=1)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON or TOML."""
        return {**asdict(self), "groups": list(self.groups)}

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stream, from full resolution down: C, 1.5C, 2.25C in the paper."""
        return tuple(round(self.width * self.width_factor**i) for i in range(self.streams))

    @property
    def depth(self) -> int:
        """Multi-scale residual blocks in a row."""
        return len(self.groups) * self.blocks

    @property
    def multiple(self) -> int:
        """Height and width inside the network are multiples of this."""
        return int(2 ** (self.streams - 1))

    def fuses_after(self, column: int) -> bool:
        """Whether streams are fused after this column, counted from 0."""
        last = column == self.columns - 1
        return self.streams > 1 and (self.final_fusion if last else self.intermediate_fusion)

    def pools_after(self, column: int) -> bool:
        """Whether that fusion hangs on the means of the streams over the whole picture."""
        return self.fusion == "skff" and self.fuses_after(column)

    def streams_in(self, column: int) -> int:
        """How many streams, from full resolution down, have a residual block in this column."""
        last = column == self.columns - 1
        return 1 if last and not self.fuses_after(column) else self.streams

    def _check_widths(self) -> None:
        factor = self.width_factor
        is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
        if not is_number or not 1 <= factor <= MOST_WIDTH_FACTOR:
            raise ConfigError(
                f"width_factor: must be a number from 1 to {MOST_WIDTH_FACTOR}, got {shown(factor)}"
            )
        for i, width in enumerate(self.widths):
            exact = self.width * self.width_factor**i
            if width != exact:
                raise ConfigError(
                    f"width: stream {i} would have {exact:g} channels; choose a width whose "
                    f"products with width_factor {self.width_factor:g} are whole numbers"
                )
        for groups in self.groups:
            for i, width in enumerate(self.widths):
                if width % groups:
                    raise ConfigError(
                        f"groups: {groups} does not divide the {width} channels of stream {i}"
                    )

    def _check_every_stream_is_used(self) -> None:
        exchanged = any(self.fuses_after(column) for column in range(self.columns))
        if self.streams > 1 and not exchanged:
            raise ConfigError(
                "final_fusion: the lower streams would never reach the output; keep final_fusion, "
                "or intermediate_fusion with at least 2 columns, or set streams=1"
            )


def _as_groups(groups: Any) -> tuple[int, ...]:
    if not isinstance(groups, tuple | list) or not groups:
        raise ConfigError(
            f"groups: must be a list with one number for each RRG, such as [2, 2, 2, 2], "
            f"got {shown(groups)}"
        )
    if len(groups) > MOST_GROUPS:
        raise ConfigError(f"groups: must be at most {MOST_GROUPS} numbers, got {len(groups)}")
    for value in groups:
        require_int("groups", value, 1, MOST["width"])
    return tuple(groups)
