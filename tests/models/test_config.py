import pytest

from mirnet.errors import ConfigError
from mirnet.models.config import MIRNetV2Config


def test_defaults_are_the_papers() -> None:
    config = MIRNetV2Config()
    assert config.widths == (80, 120, 180)
    assert config.groups == (2, 2, 2, 2)
    assert config.multiple == 4


def test_dict_round_trip() -> None:
    config = MIRNetV2Config(in_channels=6, residual="features", groups=(1, 2), fusion="concat")
    assert MIRNetV2Config.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, r"width: must be a whole number from 1 to 1024, got 0"),
        ({"width": True}, r"width: must be a whole number"),
        ({"width": 81}, r"width: stream 1 would have 121\.5 channels"),
        ({"width_factor": 0.5}, r"width_factor: must be a number from 1 to 4"),
        ({"streams": 4}, r"streams: must be a whole number from 1 to 3, got 4"),
        ({"columns": 0}, r"columns: must be a whole number from 1 to 3, got 0"),
        ({"groups": ()}, r"groups: must be a list with one number for each RRG"),
        ({"groups": 2}, r"groups: must be a list with one number for each RRG"),
        ({"groups": (2, 7)}, r"groups: 7 does not divide the 80 channels of stream 0"),
        ({"groups": (8,)}, r"groups: 8 does not divide the 180 channels of stream 2"),
        ({"blocks": 0}, r"blocks: must be a whole number from 1 to 16"),
        ({"blocks": 10**9}, r"blocks: must be a whole number from 1 to 16"),
        ({"width": 10**5000}, r"width: must be a whole number from 1 to 1024, got a number of"),
        ({"width": 10**9}, r"width: must be a whole number from 1 to 1024"),
        ({"in_channels": 65}, r"in_channels: must be a whole number from 1 to 64"),
        ({"groups": (2,) * 20_000}, r"groups: must be at most 16 numbers, got 20000"),
        ({"width_factor": float("nan")}, r"width_factor: must be a number from 1 to 4"),
        ({"width_factor": float("inf")}, r"width_factor: must be a number from 1 to 4"),
        ({"width_factor": True}, r"width_factor: must be a number from 1 to 4"),
        ({"fusion": "mean"}, r'fusion: must be one of "skff", "sum", "concat"'),
        ({"block": "rcab"}, r'block: must be one of "rcb", "rcb-no-transform", "resblock"'),
        ({"residual": "none"}, r'residual: must be one of "image", "features"'),
        ({"skip_connections": 1}, r"skip_connections: must be true or false"),
        ({"in_channels": 6}, r'residual: "image" adds the input to the output'),
        (
            {"final_fusion": False, "intermediate_fusion": False},
            r"final_fusion: the lower streams would never reach the output",
        ),
        ({"final_fusion": False, "columns": 1}, r"final_fusion: the lower streams would never"),
    ],
)
def test_invalid_configs_name_the_field_and_the_rule(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        MIRNetV2Config(**changes)  # type: ignore[arg-type]


def test_unknown_field_is_named() -> None:
    with pytest.raises(ConfigError, match="depth: no such field of a mirnet-v2 config; it has in_"):
        MIRNetV2Config.from_dict({"depth": 3})
