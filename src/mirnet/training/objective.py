"""What training minimises."""

from __future__ import annotations

import torch
from torch import Tensor

from mirnet.training.recipe import OptimRecipe


def charbonnier(output: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Eq. (1), averaged over all elements: ``mean(sqrt((output - target)² + ε²))``, a scalar."""
    difference = output.float() - target.float()
    return torch.sqrt(difference * difference + epsilon * epsilon).mean()


def l1(output: Tensor, target: Tensor) -> Tensor:
    """The mean absolute difference, a scalar; what the released weights were trained with."""
    return (output.float() - target.float()).abs().mean()


def objective(optim: OptimRecipe, output: Tensor, target: Tensor) -> Tensor:
    """The loss that the recipe names."""
    if optim.loss == "charbonnier":
        return charbonnier(output, target, optim.epsilon)
    return l1(output, target)
