import pytest
import torch

from mirnet.checkpoints.adapt import adapted
from mirnet.checkpoints.store import Checkpoint
from mirnet.errors import CheckpointError
from mirnet.models.mirnet_v1 import MIRNetV1Config
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import TINY


def checkpoint(model: MIRNetV2) -> Checkpoint:
    return Checkpoint(config=model.config, weights=model.state_dict())


def test_a_picture_given_twice_has_the_response_that_it_had(tiny_model: MIRNetV2) -> None:
    plain = MIRNetV2(TINY.with_changes(residual="features"))
    plain.load_state_dict(tiny_model.state_dict())
    two = MIRNetV2(TINY.with_changes(in_channels=6, residual="features"))
    two.load_state_dict(adapted(checkpoint(tiny_model), two.config))
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(two(torch.cat([image, image], dim=1)), plain(image))
        back = MIRNetV2(TINY)
        back.load_state_dict(adapted(checkpoint(two), TINY))
        torch.testing.assert_close(back(image), tiny_model(image))


def test_the_same_network_keeps_its_weights(tiny_model: MIRNetV2) -> None:
    weights = adapted(checkpoint(tiny_model), TINY)
    assert all(torch.equal(weights[name], value) for name, value in tiny_model.state_dict().items())


@pytest.mark.parametrize("changes", [{"width": 16}, {"groups": (2,)}, {"blocks": 2}])
def test_another_network_is_refused_by_the_field(
    tiny_model: MIRNetV2, changes: dict[str, int]
) -> None:
    field = next(iter(changes))
    with pytest.raises(CheckpointError, match=f"the weights are for {field} .*, the network has"):
        adapted(checkpoint(tiny_model), TINY.with_changes(**changes))


def test_channels_that_are_no_views_are_refused(tiny_model: MIRNetV2) -> None:
    four = TINY.with_changes(in_channels=4, residual="features")
    with pytest.raises(CheckpointError, match="weights for 3 channels can't be used for 4"):
        adapted(checkpoint(tiny_model), four)


def test_weights_of_another_network_are_refused(tiny_model: MIRNetV2) -> None:
    with pytest.raises(CheckpointError, match="are for mirnet-v2, the network is mirnet-v1"):
        adapted(checkpoint(tiny_model), MIRNetV1Config())
