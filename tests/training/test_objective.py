import math

import torch

from mirnet.training.objective import charbonnier, l1, objective
from mirnet.training.recipe import OptimRecipe


def test_charbonnier_is_equation_1() -> None:
    output, target = torch.tensor([0.3, 0.5]), torch.tensor([0.3, 0.1])
    expected = (1e-3 + math.sqrt(0.4**2 + 1e-6)) / 2
    assert math.isclose(float(charbonnier(output, target)), expected, rel_tol=1e-6)
    assert math.isclose(float(charbonnier(output, output, 0.25)), 0.25)


def test_the_loss_is_computed_in_float32() -> None:
    output = torch.full((4, 3, 64, 64), 0.5, dtype=torch.bfloat16)
    target = torch.full((4, 3, 64, 64), 0.5 + 1 / 1024)
    for loss in (charbonnier(output, target, 0.0), l1(output, target)):
        assert loss.dtype == torch.float32
        assert math.isclose(float(loss), 1 / 1024, rel_tol=1e-4)


def test_the_gradient_is_finite_where_output_and_target_agree() -> None:
    output = torch.zeros(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(charbonnier(output, torch.zeros(3)), output)
    assert gradient.tolist() == [0, 0, 0]


def test_the_recipe_chooses() -> None:
    output, target = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert objective(OptimRecipe(loss="l1"), output, target) == l1(output, target)
    smooth = OptimRecipe(loss="charbonnier", epsilon=0.1)
    assert objective(smooth, output, target) == charbonnier(output, target, 0.1)
