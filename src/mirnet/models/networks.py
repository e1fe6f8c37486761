"""All networks, by name. A new one is written in a file of its own and named here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from mirnet.choices import NetworkName, Preset
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v1 import MIRNetV1, MIRNetV1Config
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.network import Network
from mirnet.models.network_config import NetworkConfig, require_choice

CONFIGS: dict[NetworkName, type[NetworkConfig]] = {
    config.NETWORK: config for config in (MIRNetV2Config, MIRNetV1Config)
}
PRESETS: dict[Preset, Callable[[], NetworkConfig]] = {
    "paper": MIRNetV2Config,
    "released": MIRNetV2Config.released,
    "small": MIRNetV2Config.small,
    "mirnet-v1": MIRNetV1Config,
}


def build(config: NetworkConfig) -> Network:
    """The network of a config, with random weights."""
    if isinstance(config, MIRNetV1Config):
        return MIRNetV1(config)
    if isinstance(config, MIRNetV2Config):
        return MIRNetV2(config)
    raise TypeError(f"no network is made of a {type(config).__name__}")


def preset(name: str) -> NetworkConfig:
    """The config of that name. Raises ConfigError for another."""
    require_choice("preset", name, tuple(PRESETS))
    return PRESETS[cast(Preset, name)]()


def config_from_dict(values: dict[str, Any]) -> NetworkConfig:
    """The config with these fields, of the network that ``"network"`` names; MIRNet-v2 without it.

    Raises ConfigError that names the field and the rule.
    """
    rest = dict(values)
    network = rest.pop("network", MIRNetV2Config.NETWORK)
    require_choice("network", network, tuple(CONFIGS))
    return CONFIGS[network].from_dict(rest)


def config_to_dict(config: NetworkConfig) -> dict[str, Any]:
    """What `config_from_dict` makes the same config of."""
    named = {} if isinstance(config, MIRNetV2Config) else {"network": config.NETWORK}
    return {**named, **config.to_dict()}
