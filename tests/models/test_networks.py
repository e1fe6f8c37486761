from typing import get_args

import pytest

from mirnet.choices import NetworkName, Preset
from mirnet.errors import ConfigError
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v1 import MIRNetV1Config
from mirnet.models.networks import (
    CONFIGS,
    PRESETS,
    build,
    config_from_dict,
    config_to_dict,
    preset,
)


def test_presets() -> None:
    assert tuple(PRESETS) == get_args(Preset)
    assert tuple(CONFIGS) == get_args(NetworkName)
    assert preset("paper") == MIRNetV2Config()
    assert preset("released").to_dict()["groups"] == [1, 2, 4, 4]
    assert preset("small") == MIRNetV2Config.small()
    assert preset("mirnet-v1") == MIRNetV1Config()
    with pytest.raises(ConfigError, match='preset: must be one of "paper", "released", '):
        preset("big")


@pytest.mark.parametrize("config", [MIRNetV2Config(width=16), MIRNetV1Config(width=16, blocks=1)])
def test_a_config_comes_back_and_builds_its_network(
    config: MIRNetV2Config | MIRNetV1Config,
) -> None:
    assert config_from_dict(config_to_dict(config)) == config
    assert build(config).config == config


def test_files_without_a_network_s_name_are_of_v2() -> None:
    assert config_from_dict({"width": 16}) == MIRNetV2Config(width=16)
    assert "network" not in config_to_dict(MIRNetV2Config())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"network": "unet"}, 'network: must be one of "mirnet-v2", "mirnet-v1"'),
        ({"network": 3}, 'network: must be one of "mirnet-v2", "mirnet-v1", got 3'),
        ({"network": "mirnet-v1", "streams": 2}, "streams: no such field of a mirnet-v1 config"),
        ({"network": "mirnet-v1", "width": 60}, "width: must be a multiple of 8, got 60"),
        ({"network": "mirnet-v1", "recursive_groups": 0}, "recursive_groups: must be a whole num"),
        ({"network": "mirnet-v1", "in_channels": 6}, 'residual: "image" adds the input to the'),
        ({"depth": 3}, "depth: no such field of a mirnet-v2 config"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config_from_dict(values)
