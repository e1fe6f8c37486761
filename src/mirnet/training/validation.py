"""How a run is judged while it goes on: by the one scorer, on pictures that it has not seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from mirnet.checkpoints.store import read_checkpoint, save_model
from mirnet.data.checking import require_sizes, require_targets, require_views
from mirnet.data.packed import PackedPicture
from mirnet.data.pair import Pair
from mirnet.data.picture import digest
from mirnet.data.sources import find_pairs
from mirnet.errors import (
    CheckpointError,
    DataError,
    LostProcessError,
    MirnetError,
    PhotoError,
    one_line,
)
from mirnet.evaluation.evaluate import evaluate, load_pair
from mirnet.evaluation.scores import PairScore, mean
from mirnet.inference.restorer import Restorer
from mirnet.metrics.protocol import PROTOCOLS
from mirnet.models.network import Network
from mirnet.models.networks import build
from mirnet.training.batches import TrainingData
from mirnet.training.log import RunLog
from mirnet.training.recipe import Recipe
from mirnet.training.schedule import total_steps
from mirnet.training.state import TrainingState
from mirnet.training.team import Team

SHOWN = 3
"""Pictures of each folder that TensorBoard shows: input, output and target side by side."""


class Validation:
    """The recipe's validation folders and what it holds out, checked before the first step.

    Raises DataError for a folder that is incomplete, of other views than the network takes, or
    holds a picture that is trained on.
    """

    def __init__(self, recipe: Recipe, folder: Path, data: TrainingData) -> None:
        """Look at every header, and at the content of pictures that could be trained on."""
        self.recipe, self.folder = recipe, folder
        self.pairs: dict[str, tuple[Pair, ...]] = {}
        for path in recipe.validation.folders:
            pairs = find_pairs(path, recipe.validation.dataset, recipe.validation.split)
            require_targets(pairs, of=str(path))
            require_views(pairs, recipe.model.config().in_channels, of=str(path))
            require_sizes(pairs, at_least=1)
            self.pairs[str(path)] = pairs
        self.pairs |= data.held_out
        self._targets = {name: _contents(pairs) for name, pairs in self.pairs.items()}
        self._refuse_overlap(data.pairs())
        self._inputs: dict[str, dict[str, float]] = {}

    def run(self, state: TrainingState, log: RunLog, team: Team) -> None:
        """Score the weights (or their average), each process a share; save them, keep the best.

        Nothing that goes wrong with a picture or a score ends the run; the log says it.
        """
        recipe = self.recipe
        model = build(state.model.config)
        model.load_state_dict(state.average or state.model.state_dict())
        device = next(state.model.parameters()).device
        provenance: dict[str, Any] = {"recipe": recipe.to_dict(), "step": state.step}
        scores: dict[str, dict[str, float]] = {}
        try:
            restorer = Restorer(
                model, device=str(device), precision=recipe.precision, runtime="torch"
            )
            scores = self._score(restorer, team)
            if team.is_first:  # the others wait for nothing of this
                self._tell(restorer, scores, state.step, log)
        except LostProcessError:
            raise
        except (MirnetError, OSError, ValueError, RuntimeError) as error:
            log.say(f"step {state.step}: validation failed: {one_line(error)}")
            with suppress(OSError):
                log.write("validation", state.step, {"failed": one_line(error)})
        if team.is_first:
            self._save(model, state.step, scores, provenance, log)

    def was_missed(self, step: int, team: Team) -> bool:
        """Whether a run that has come to this step was killed before its weights were written."""
        is_due = step > 0 and (
            step % self.recipe.validation.every == 0 or step == total_steps(self.recipe.schedule)
        )
        path = self.folder / "model.safetensors"
        try:
            written = read_checkpoint(path).provenance.get("step")
        except (CheckpointError, SafetensorError):
            written = None
        return team.gather(is_due and written != step)[0]

    def _save(
        self,
        model: Network,
        step: int,
        scores: dict[str, dict[str, float]],
        provenance: dict[str, Any],
        log: RunLog,
    ) -> None:
        """Write the weights. Only the last ones must be written for the run to go on."""
        if scores:
            provenance["validation"] = scores
        try:
            self._write(model, step, scores, provenance)
        except (CheckpointError, OSError) as error:
            if step == total_steps(self.recipe.schedule):
                raise
            log.say(f"step {step}: the weights can't be written: {one_line(error)}")

    def _write(
        self,
        model: Network,
        step: int,
        scores: dict[str, dict[str, float]],
        provenance: dict[str, Any],
    ) -> None:
        recipe = self.recipe
        save_model(
            model, self.folder / "model.safetensors", task=recipe.task, provenance=provenance
        )
        if recipe.keep_every is not None and step % recipe.keep_every == 0:
            kept = self.folder / "kept" / f"step-{step:07}.safetensors"
            kept.parent.mkdir(exist_ok=True)
            save_model(model, kept, task=recipe.task, provenance=provenance)
        if scores:
            provenance["validated_by"] = self._signature()
            self._keep_best(model, provenance)

    def _score(self, restorer: Restorer, team: Team) -> dict[str, dict[str, float]]:
        """The means of every folder; all processes come to the same gatherings."""
        found = {}
        for name, pairs in self.pairs.items():
            found[name], self._inputs[name] = self._means(restorer, pairs, team)
        return found

    def _tell(
        self, restorer: Restorer, scores: dict[str, dict[str, float]], step: int, log: RunLog
    ) -> None:
        for name, means in scores.items():
            inputs, pairs = self._inputs[name], self.pairs[name]
            said = {f"input_{metric}": value for metric, value in inputs.items()}
            log.write("validation", step, {"folder": name, **means, **said})
            log.say(
                f"step {step}: {name}: PSNR {means['psnr']:.3f} dB (input {inputs['psnr']:.3f}), "
                f"SSIM {means['ssim']:.4f} (input {inputs['ssim']:.4f})"
            )
            for pair in pairs[: 0 if log.quiet else SHOWN]:
                views, target = load_pair(pair)
                strip = torch.cat([_first_view(views), restorer(views), target], dim=3)
                log.show(f"{name}/{pair.id}", step, strip[0])

    def _means(
        self, restorer: Restorer, pairs: tuple[Pair, ...], team: Team
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Mean scores of all pairs and of their inputs; each process computes its share.

        What goes wrong in one of them is raised in all, so that none waits for it.
        """
        share, protocol = pairs[team.rank :: team.size], self.recipe.validation.protocol
        mine: dict[str, PairScore] | str
        try:
            mine = {pair.id: pair for pair in evaluate(restorer, share, PROTOCOLS[protocol])}
        except (MirnetError, OSError, ValueError, RuntimeError) as error:
            mine = one_line(error)
        scores: dict[str, PairScore] = {}
        for images in team.gather(mine):
            if isinstance(images, str):
                raise DataError(images)
            scores |= images
        ordered = [scores[pair.id] for pair in pairs]
        return mean(pair.scores for pair in ordered), mean(pair.input for pair in ordered)

    def _keep_best(self, model: Network, provenance: dict[str, Any]) -> None:
        """Write the weights as the best, unless better ones by the same measure are there."""
        path = self.folder / "best.safetensors"
        mean = _mean_psnr(provenance["validation"])
        try:
            before = read_checkpoint(path).provenance if path.exists() else {}
        except (CheckpointError, SafetensorError):
            before = {}
        same = before.get("validated_by") == provenance["validated_by"]
        if not same or mean > _mean_psnr(before["validation"]):
            save_model(model, path, task=self.recipe.task, provenance=provenance)

    def _signature(self) -> str:
        """A digest of protocol and pictures: what scores must share to be compared."""
        facts = [self.recipe.validation.protocol, *map(list, self._targets.values())]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _refuse_overlap(self, trained_on: Iterable[Pair]) -> None:
        """Raise DataError if a validation picture is trained on, whatever its name."""
        ours = {sha256: place for each in self._targets.values() for sha256, place in each.items()}
        for pair in trained_on:
            if isinstance(pair.target, PackedPicture) and pair.target.sha256 in ours:
                raise DataError(
                    f"{ours[pair.target.sha256]}: is trained on too ({pair.id} of data.sources); "
                    "validate on other pictures"
                )


def _contents(pairs: tuple[Pair, ...]) -> dict[str, str]:
    """The places of all targets by the digests of their pixels."""
    contents = {}
    for target in (pair.target for pair in pairs if pair.target is not None):
        try:
            contents[digest(target.pixels())] = target.place
        except PhotoError as error:
            raise DataError(str(error)) from error
    return contents


def _first_view(views: Tensor) -> Tensor:
    """What there was before: the first view of a pair."""
    return views[:, :3]


def _mean_psnr(validation: dict[str, dict[str, float]]) -> float:
    return sum(means["psnr"] for means in validation.values()) / len(validation)
