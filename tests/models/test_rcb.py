import pytest
import torch

from mirnet.models.rcb import ContextModule


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_context_of_a_million_positions_keeps_its_digits(
    layout: torch.memory_format, batch: int
) -> None:
    torch.manual_seed(0)
    features = (1 + 0.1 * torch.randn(batch, 4, 1024, 1024)).to(memory_format=layout)
    module = ContextModule(4)
    with torch.no_grad():
        heard = module.attend(features).vector()
        scores = module.mask.double()(features.double()).flatten(2)
        exact = (features.double().flatten(2) * scores.softmax(2)).sum(2)
    assert torch.allclose(heard.flatten(1).double(), exact, rtol=1e-6, atol=0)
