"""A training run as one frozen value, read from a TOML file and the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from mirnet.choices import (
    DataSetName,
    Device,
    NetworkName,
    Precision,
    Preset,
    ProtocolName,
    TaskName,
)
from mirnet.data.degradations import DEGRADATIONS, Degradation, bound
from mirnet.data.transforms import Augmentation
from mirnet.errors import ConfigError, DataError, RecipeError
from mirnet.models.config import Block, Fusion
from mirnet.models.network_config import NetworkConfig, Residual
from mirnet.models.networks import config_from_dict, config_to_dict, preset
from mirnet.training.checked import Checked, Whole, Within


class ModelChanges(TypedDict, total=False):
    """Fields of a network's config; a type for each, so that the command line can read them."""

    network: NetworkName

    in_channels: Whole
    out_channels: Whole
    width: Whole
    width_factor: float
    streams: Whole
    columns: Whole
    groups: tuple[Whole, ...]
    recursive_groups: Whole
    blocks: Whole
    fusion: Fusion
    block: Block
    residual: Residual
    skip_connections: bool
    intermediate_fusion: bool
    final_fusion: bool


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """The network: a preset, and what differs from it."""

    preset: Preset | None = None
    """Where the config starts from; the network of ``start_from``, or else the paper's, unless
    told."""
    changes: ModelChanges = field(default_factory=ModelChanges)
    """What differs from the preset."""
    start_from: str | None = None
    """Weights to start from instead of random ones: a file, a name that `mirnet weights` lists, or
    an hf:// address. They may be for other numbers of channels."""

    def config(self) -> NetworkConfig:
        """The network's config. Raises RecipeError for one that breaks a rule."""
        try:
            start = config_to_dict(preset(self.preset)) if self.preset else {}
            return config_from_dict({**start, **self.changes})
        except ConfigError as error:
            raise RecipeError(f"model.{error}") from error


@dataclass(frozen=True, kw_only=True)
class SourceRecipe(Checked):
    """One folder to train on."""

    PLACE = "data.sources."

    path: Path
    """Holds the data set; or clean pictures, if there is a degradation; or what `mirnet prepare`
    made of them."""
    dataset: DataSetName = "pairs"
    """How its files lie; `mirnet check-data --help` tells. "pairs" holds input/ and target/."""
    split: Literal["train", "val"] = "train"
    """The part that is trained on."""
    weight: Annotated[float | None, Within(0, is_open=True)] = None
    """How often it is drawn, relative to the others; by default its number of pictures. All
    sources have a weight, or none has."""
    hold_out: Annotated[Whole, Within(0)] = 0
    """Pairs, evenly spread, that are validated on instead of trained on: for data sets without a
    validation part. What shows the same target as one of them isn't trained on either."""
    degradation: str | None = None
    """Makes the input from clean pictures: "camera-noise", "camera-jpeg", "gaussian-noise",
    "downscale", "low-light", or the two views of "dual-pixel-defocus"."""
    options: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Of the degradation, by the names of its parameters: one number, or the lowest and highest of
    what is drawn, such as ``options.sigma = [0.01, 0.05]``. Any takes ``jpeg`` (a probability) and
    ``quality``, and then stores its result as a JPEG."""
    exposure: bool = False
    """Darken clean pictures at random before they are degraded."""

    def __post_init__(self) -> None:
        """Check the degradation."""
        super().__post_init__()
        if self.degradation is not None and self.degradation not in DEGRADATIONS:
            raise self.fault("degradation", f"must be one of {', '.join(DEGRADATIONS)}")
        if self.options and self.degradation is None:
            raise self.fault("options", "are a degradation's; give it too")
        try:
            self.degrading()
        except DataError as error:
            raise self.fault("options", str(error)) from error
        if self.hold_out and self.degradation is not None:
            raise self.fault("hold_out", "is for pairs; validate on a folder of real ones instead")
        if self.exposure and self.degradation is None:
            raise self.fault("exposure", "is for clean pictures; give a degradation too")

    def degrading(self) -> Degradation | None:
        """The degradation with its options."""
        if self.degradation is None:
            return None
        options = {
            name: numbers[0] if len(numbers) == 1 else numbers
            for name, numbers in self.options.items()
        }
        return bound(self.degradation, options)


@dataclass(frozen=True, kw_only=True)
class DataRecipe(Checked):
    """What to train on."""

    PLACE = "data."

    sources: tuple[SourceRecipe, ...]
    """The folders, drawn from by weight."""
    augmentations: tuple[Augmentation, ...] = ("horizontal-flip", "vertical-flip")
    """Applied with probability 1/2 each (Sec. 4.2)."""
    mixup: Annotated[float | None, Within(0, 100, is_open=True)] = None
    """Half the samples are mixed with another, by a share from the Beta distribution of this
    parameter; the released weights were trained with 1.2, the paper mentions none."""
    workers: Annotated[Whole, Within(0, 256)] = 0
    """Processes that prepare batches; 0 prepares them in the training process."""
    cache: Path | None = None
    """Where pictures are packed before the first step, uncompressed; by default in a folder of the
    run. Runs can share it. What `mirnet prepare` packed isn't packed again."""

    def __post_init__(self) -> None:
        """Check the sources together."""
        super().__post_init__()
        if not self.sources:
            raise self.fault("sources", "name no folder; add [[data.sources]] with a path")
        if len({source.weight is None for source in self.sources}) > 1:
            raise self.fault(
                "sources.weight", "is given for some sources; give all of them a weight, or none"
            )


@dataclass(frozen=True, kw_only=True)
class OptimRecipe(Checked):
    """Loss and optimiser (Sec. 3 and 4.2)."""

    PLACE = "optim."

    loss: Literal["charbonnier", "l1"] = "charbonnier"
    """What is minimised; the released weights were trained with "l1"."""
    epsilon: Annotated[float, Within(0, is_open=True)] = 1e-3
    """ε of the Charbonnier loss, Eq. (1)."""
    betas: Annotated[tuple[float, float], Within(0, 0.999999)] = (0.9, 0.999)
    """Adam's decay rates."""
    clip_norm: Annotated[float | None, Within(0, is_open=True)] = None
    """Gradients are scaled down to this norm; the paper mentions no clipping."""
    pixels_at_once: Annotated[Whole | None, Within(1)] = None
    """Pixels of a batch that go through the network together, in each process; the gradients of
    the parts add up to the batch's. `mirnet train --plan` says how many fit."""
    ema: Annotated[float | None, Within(0, 1, is_open=True)] = None
    """Decay of an average of the weights that is validated and saved instead of them."""


@dataclass(frozen=True, kw_only=True)
class Stage(Checked):
    """A stage of progressive training (Sec. 3.2)."""

    PLACE = "schedule.stages."

    steps: Annotated[Whole, Within(1)]
    """How many batches."""
    patch_size: Annotated[Whole, Within(1)] = 128
    """Height and width of a sample, in pixels."""
    shrink: Annotated[Whole, Within(1, 16)] = 1
    """How many times pictures are brought down, by averaging, before they are cropped. Where
    brightness or colour is to change, a network wants to see whole pictures, and small ones do."""
    batch_size: Annotated[Whole, Within(1)] = 64
    """Samples in a step."""


@dataclass(frozen=True, kw_only=True)
class Segment(Checked):
    """A piece of the learning rate's course, in the form of half a cosine."""

    PLACE = "schedule.segments."

    steps: Annotated[Whole, Within(1)]
    """How many batches."""
    lr: Annotated[float, Within(0, is_open=True)] = 2e-4
    """Learning rate of its first step."""
    lr_end: Annotated[float, Within(0)] = 1e-6
    """Learning rate of its last step."""


@dataclass(frozen=True, kw_only=True)
class ScheduleRecipe(Checked):
    """Learning rate and stages over the run."""

    PLACE = "schedule."

    lr: Annotated[float, Within(0, is_open=True)] = 2e-4
    """Learning rate at the start."""
    lr_min: Annotated[float, Within(0)] = 1e-6
    """Learning rate at the end of the cosine; at most ``lr``."""
    warmup_steps: Annotated[Whole, Within(0)] = 0
    """Steps over which the learning rate rises linearly from 0; the paper mentions none."""
    stages: tuple[Stage, ...] = (
        Stage(steps=115_000, patch_size=128),
        Stage(steps=80_000, patch_size=144),
        Stage(steps=60_000, patch_size=192),
        Stage(steps=45_000, patch_size=224),
    )
    """The paper's patch sizes and 300,000 steps. It gives no stage lengths: these have the
    proportions of the released recipe's first four stages, 92 : 64 : 48 : 36."""
    segments: tuple[Segment, ...] = ()
    """The learning rate in pieces, whose steps add up to the stages'; instead of ``lr``, ``lr_min``
    and ``warmup_steps``, which are then refused."""

    def __post_init__(self) -> None:
        """Check the rates and the steps against each other."""
        super().__post_init__()
        if not self.stages:
            raise self.fault("stages", "there must be at least one")
        for name in ("lr", "lr_min", "warmup_steps") if self.segments else ():
            if getattr(self, name) != getattr(type(self), name):
                raise self.fault(
                    name,
                    "counts for nothing beside schedule.segments, which have rates of their own; "
                    "change those, or leave it out",
                )
        if self.lr_min > self.lr:
            raise self.fault("lr_min", f"must be at most lr, {self.lr:g}, got {self.lr_min:g}")
        steps = sum(stage.steps for stage in self.stages)
        if self.warmup_steps >= steps:
            raise self.fault(
                "warmup_steps", f"must be fewer than the {steps} steps, got {self.warmup_steps}"
            )
        rated = sum(segment.steps for segment in self.segments)
        if self.segments and rated != steps:
            raise self.fault("segments", f"have {rated} steps, the stages {steps}; make them equal")


@dataclass(frozen=True, kw_only=True)
class ValidationRecipe(Checked):
    """How the run is judged while it goes on."""

    PLACE = "validation."

    folders: tuple[Path, ...] = ()
    """Folders of pairs; each is scored on its own."""
    dataset: DataSetName = "pairs"
    """How their files lie."""
    split: Literal["train", "val"] = "val"
    """The part of the data set that is scored. A test set is for `mirnet evaluate` alone."""
    protocol: ProtocolName = "photo"
    """How it is scored."""
    every: Annotated[Whole, Within(1)] = 1000
    """Steps between validations."""


@dataclass(frozen=True, kw_only=True)
class Recipe(Checked):
    """Everything that decides the outcome of a training run."""

    PLACE = ""

    task: TaskName = "denoising"
    """The task that the weights are for."""
    seed: Annotated[Whole, Within(0, 2**63 - 1)] = 0
    """Of the initial weights and of the order and augmentation of the data."""
    precision: Precision = "auto"
    """Of the network's arithmetic; the weights and the optimiser stay in float32. "auto" is
    bfloat16 on a device that computes in it. Gradients are scaled in float16."""
    device: Device = "auto"
    """Where to train."""
    devices: Annotated[Whole, Within(1, 1024)] = 1
    """Processes on each machine, one for each GPU; a step's batch is shared among them. torchrun
    sets it itself."""
    nodes: Annotated[Whole, Within(1, 1024)] = 1
    """Machines; more than one are started by torchrun."""
    compile: bool = False
    """Let torch.compile make the network faster; the first steps take minutes."""
    recompute: bool = False
    """Compute features again in the backward pass instead of keeping them: a fraction of the
    memory, a third more time."""
    checkpoint_every: Annotated[Whole, Within(1)] = 500
    """Steps between states that training can be resumed from."""
    keep_every: Annotated[Whole | None, Within(1)] = None
    """Steps between weights that are kept for good, in ``kept/``; a multiple of
    ``validation.every``."""
    log_every: Annotated[Whole, Within(1)] = 50
    """Steps between lines of the log."""
    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe
    optim: OptimRecipe = field(default_factory=OptimRecipe)
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)
    validation: ValidationRecipe = field(default_factory=ValidationRecipe)

    def __post_init__(self) -> None:
        """Check what concerns several parts. Raises RecipeError that names the key."""
        super().__post_init__()
        config = self.model.config()
        if self.keep_every is not None and self.keep_every % self.validation.every:
            raise RecipeError(
                f"keep_every: {self.keep_every} must be a multiple of validation.every, "
                f"{self.validation.every}"
            )
        for stage in self.schedule.stages:
            if stage.patch_size % config.multiple:
                raise RecipeError(
                    f"schedule.stages.patch_size: {stage.patch_size} must be a multiple of "
                    f"{config.multiple} for this network"
                )

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe as plain values, for JSON."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    """JSON has no tuples and no paths."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
