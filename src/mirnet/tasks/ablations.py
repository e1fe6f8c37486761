"""The paper's ablations (Tables 7–11): variants of one network, trained alike and compared.

All are trained for super-resolution ×3 (Sec. 4.7).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mirnet.choices import AblationBudget, DataSetName, Device
from mirnet.models.config import MIRNetV2Config
from mirnet.tasks.recipes import RELEASED_STAGES
from mirnet.tasks.start import with_task
from mirnet.training.recipe import (
    DataRecipe,
    ModelChanges,
    ModelRecipe,
    OptimRecipe,
    Recipe,
    ScheduleRecipe,
    SourceRecipe,
    Stage,
)

PARTS = tuple(steps for steps, _, _ in RELEASED_STAGES[:4])
"""Of a progressive run's steps, for each patch size, as in the whole recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A row of a table.

    Attributes:
        row: what the paper's table calls it.
        name: of its run. Rows of several tables that are one network share a run.
        changes: what differs from the full network.
        groups: of the 3×3 convolutions, if others than the full network's.
        patch: which of the budget's patch sizes it is trained on; None for all, one after the
            other.
    """

    row: str
    name: str
    changes: ModelChanges = field(default_factory=ModelChanges)
    groups: int | None = None
    patch: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What every variant is trained with.

    Attributes:
        name: what it is asked for by.
        changes: the full network, as it differs from the paper's.
        patches: patch sizes, 128 to 224 in the paper.
        steps: how many.
        batch: samples in a step.
        optim: loss and optimiser.
        lr: at the start.
        warmup: steps over which it rises.
        seeds: runs of each variant, unless told.
    """

    name: AblationBudget
    changes: ModelChanges = field(default_factory=ModelChanges)
    patches: tuple[int, int, int, int]
    steps: int
    batch: int
    optim: OptimRecipe = field(default_factory=OptimRecipe)
    lr: float = 2e-4
    warmup: int = 0
    seeds: int = 1

    @property
    def network(self) -> MIRNetV2Config:
        """The full network."""
        return MIRNetV2Config.from_dict({**MIRNetV2Config().to_dict(), **self.changes})


BUDGETS: dict[AblationBudget, Budget] = {
    "paper": Budget(name="paper", patches=(128, 144, 192, 224), steps=100_000, batch=64),
    "small": Budget(
        name="small",
        changes=ModelChanges(width=16, blocks=1, groups=(2, 2)),
        patches=(32, 36, 48, 56),
        steps=600,
        batch=4,
        optim=OptimRecipe(clip_norm=1.0),
        lr=1e-3,
        warmup=30,
        seeds=2,
    ),
}
"""The small one trains all rows of all tables on a CPU core in about an hour."""

FULL = "full"


def _layout(streams: int, columns: int) -> Variant:
    """A row of Table 11 (which the paper lays out as rows and columns)."""
    row = f"{streams} stream{'s' * (streams > 1)}, {columns} column{'s' * (columns > 1)}"
    if (streams, columns) == (3, 2):
        return Variant(row=row, name=FULL)
    name = f"{streams}-streams-{columns}-columns"
    return Variant(row=row, name=name, changes=ModelChanges(streams=streams, columns=columns))


ABLATIONS: dict[int, tuple[Variant, ...]] = {
    7: (
        Variant(
            row="without skip connections",
            name="no-skips",
            changes=ModelChanges(skip_connections=False),
        ),
        Variant(row="without RCB", name="resblock", changes=ModelChanges(block="resblock")),
        Variant(
            row="without intermediate SKFF",
            name="no-intermediate-fusion",
            changes=ModelChanges(intermediate_fusion=False),
        ),
        Variant(
            row="without final SKFF",
            name="no-final-fusion",
            changes=ModelChanges(final_fusion=False),
        ),
        Variant(row="all", name=FULL),
    ),
    8: (
        Variant(row="EDSR's block, g=2", name="resblock", changes=ModelChanges(block="resblock")),
        Variant(row="RCB, g=2", name=FULL),
        Variant(
            row="RCB without transform, g=2",
            name="no-transform",
            changes=ModelChanges(block="rcb-no-transform"),
        ),
        Variant(row="RCB, g=1", name="one-group", groups=1),
    ),
    9: (
        Variant(row="Sum", name="sum", changes=ModelChanges(fusion="sum")),
        Variant(row="Concat", name="concat", changes=ModelChanges(fusion="concat")),
        Variant(row="SKFF", name=FULL),
    ),
    10: (
        Variant(row="128", name=FULL),
        Variant(row="144", name="second-patch", patch=1),
        Variant(row="192", name="third-patch", patch=2),
        Variant(row="224", name="fourth-patch", patch=3),
        Variant(row="Progressive", name="progressive", patch=None),
    ),
    11: tuple(_layout(streams, columns) for streams in (1, 2, 3) for columns in (1, 2, 3)),
}


def ablation_recipe(
    variant: Variant, budget: Budget, data: Path, dataset: DataSetName, *, seed: int, device: Device
) -> Recipe:
    """How a variant is trained; all variants of a budget alike, but for what they are about."""
    changes = ModelChanges(**{**budget.changes, **variant.changes})
    if variant.groups is not None:
        changes["groups"] = (variant.groups,) * len(budget.network.groups)
    return with_task(
        Recipe(
            task="super-resolution",
            seed=seed,
            device=device,
            model=ModelRecipe(changes=changes),
            data=DataRecipe(sources=(SourceRecipe(path=data, dataset=dataset),)),
            optim=budget.optim,
            schedule=ScheduleRecipe(
                lr=budget.lr, warmup_steps=budget.warmup, stages=_stages(variant, budget)
            ),
        )
    )


def _stages(variant: Variant, budget: Budget) -> tuple[Stage, ...]:
    if variant.patch is not None:
        size = budget.patches[variant.patch]
        return (Stage(steps=budget.steps, patch_size=size, batch_size=budget.batch),)
    steps = [round(budget.steps * part / sum(PARTS)) for part in PARTS[:-1]]
    return tuple(
        Stage(steps=count, patch_size=size, batch_size=budget.batch)
        for count, size in zip([*steps, budget.steps - sum(steps)], budget.patches, strict=True)
    )
