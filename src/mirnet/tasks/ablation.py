"""Train, score and tabulate the variants of a table (Tables 7–11)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from mirnet.checkpoints.load import load_checkpoint
from mirnet.choices import DataSetName, Device, ProtocolName, Split
from mirnet.data.checking import require_apart
from mirnet.data.pair import Pair
from mirnet.data.sources import DATASETS, find_pairs, left_out
from mirnet.environment import code_sha256, versions
from mirnet.errors import DataError
from mirnet.evaluation.evaluate import evaluate
from mirnet.evaluation.journal import JOURNAL, OtherScoresError
from mirnet.evaluation.method import by_network
from mirnet.evaluation.published import Table, published
from mirnet.evaluation.run import run as score
from mirnet.evaluation.scores import Scores, fingerprint
from mirnet.inference.restorer import Restorer
from mirnet.metrics.protocol import PROTOCOLS, Protocol
from mirnet.models.complexity import complexity, fusion_parameters
from mirnet.models.config import MIRNetV2Config
from mirnet.tasks.ablations import ABLATIONS, Budget, ablation_recipe
from mirnet.tasks.evaluation import described
from mirnet.tasks.recipes import found_in
from mirnet.tasks.registry import TASKS
from mirnet.training.loop import train
from mirnet.training.recipe import Recipe
from mirnet.units import counted

PAPERS: Literal["realsr-x3"] = "realsr-x3"
"""The data set and protocol of the paper's ablations (Sec. 4.7)."""


def costs(number: int, budget: Budget) -> list[dict[str, Any]]:
    """What each row of a table costs, counted, beside what the paper prints."""
    paper = published()[number]
    rows = []
    for variant in ABLATIONS[number]:
        recipe = ablation_recipe(variant, budget, Path("data"), PAPERS, seed=0, device="cpu")
        config = recipe.model.config()
        assert isinstance(config, MIRNetV2Config)
        counts = complexity(config)
        rows.append(
            {
                "row": variant.row,
                "run": variant.name,
                "parameters": counts.parameters,
                "flops": counts.operations,
                # One stream is joined with nothing.
                "fusion_parameters": fusion_parameters(config.fusion) if config.streams > 1 else 0,
                "patches": sorted({stage.patch_size for stage in recipe.schedule.stages}),
                "paper": dict(zip(paper.columns, paper.rows[variant.row], strict=True)),
            }
        )
    return rows


def ablate(
    number: int,
    budget: Budget,
    data: Path,
    dataset: DataSetName | None,
    folder: Path,
    *,
    seeds: int,
    device: Device = "auto",
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train and score every row of a table. Runs that are there are kept, or gone on with.

    Args:
        number: of the table, 7 to 11.
        budget: what every variant is trained with.
        data: a data set with a part to train on and one to score.
        dataset: how it lies; found out if it is None, RealSR ×3 among several. RealSR is scored by
            the protocol of its scale, anything else by that of ×3.
        folder: gets ``runs/NAME-seed0`` and so on; tables share what they have in common.
        seeds: runs of each variant, from 0.
        device: where to train.
        say: is told what is trained.

    Returns:
        The rows, with PSNR and the weights' SHA-256 by seed, mean and standard deviation; how many
        of the paper's orderings held; and the data and the code that scored.

    Raises DataError, before anything is trained, for a pair that can't be scored.
    """
    dataset = dataset or found_in(data, "super-resolution", preferred=PAPERS)
    is_realsr = dataset in TASKS["super-resolution"].benchmarks
    protocol = PROTOCOLS[cast(ProtocolName, dataset) if is_realsr else PAPERS]
    split: Split = "test" if "test" in DATASETS[dataset].counts else "val"
    pairs = find_pairs(data, dataset, split)
    learnt = find_pairs(data, dataset, "train")
    require_apart(folder, (*pairs, *learnt))
    places = {pair.place for pair in learnt}
    if both := [pair.place for pair in pairs if pair.place in places]:
        raise DataError(
            f"{both[0]}: is both trained on and scored; {data} needs train/ and {split}/"
        )
    for name, why in left_out(data, split).items():
        raise DataError(f"{data}: {name} was not packed, {why}; mend it, and pack again")
    # Before the first variant is trained, and not after: every pair can be read and scored.
    inputs = evaluate(lambda views: views[:, :3], pairs, protocol)
    rows = costs(number, budget)
    for variant, row in zip(ABLATIONS[number], rows, strict=True):
        row |= {"psnr": [], "weights": []}
        for seed in range(seeds):
            recipe = ablation_recipe(variant, budget, data, dataset, seed=seed, device=device)
            place = folder / "runs" / f"{variant.name}-seed{seed}"
            say(f"Table {number}, {variant.row}, seed {seed}: {place}")
            scores = _trained(recipe, place, folder / "packed", pairs, protocol)
            row["psnr"].append(scores.means()["psnr"])
            row["weights"].append(scores.method["weights"])
        row["mean"] = float(np.mean(row["psnr"]))
        row["deviation"] = float(np.std(row["psnr"], ddof=1)) if seeds > 1 else None
    return {
        "table": number,
        "title": published()[number].title,
        "source": published()[number].source,
        "paper_data": published()[number].data,
        "protocol": protocol.name,
        "scored_on": f"{counted(len(pairs), 'pair')} ({split})",
        "data": {
            "folder": data.name or data.resolve().name,
            "dataset": dataset,
            "split": split,
            "pairs": len(pairs),
            "sha256": fingerprint(inputs),
        },
        "scored_by": {"code_sha256": code_sha256(), "versions": versions()},
        "seeds": seeds,
        "steps": budget.steps,
        "rows": rows,
        "orderings": orderings(rows),
    }


def _trained(
    recipe: Recipe, place: Path, cache: Path, pairs: Sequence[Pair], protocol: Protocol
) -> Scores:
    """Train, or find trained, and score."""
    path = train(replace(recipe, data=replace(recipe.data, cache=cache)), place)
    restorer = Restorer(load_checkpoint(path).build(), device=recipe.device, runtime="torch")
    method = by_network(restorer, path)
    kind: dict[str, Any] = {
        "data": described(place.name, recipe.data.sources[0].path), "folder": place / "scores"
    }  # fmt: skip
    try:
        scores = score(method, pairs, protocol, **kind)
    except OtherScoresError:  # of a version before; scoring is cheap beside training
        (place / "scores" / JOURNAL).unlink()
        scores = score(method, pairs, protocol, **kind)
    if scores.faults:  # a mean over other pairs is no row of the same table
        raise DataError(f"not scored: {scores.faults[0].id}: {scores.faults[0].why}")
    return scores


def orderings(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Which of the paper's orderings by PSNR hold for the measured means."""
    claims = [
        (better, worse)
        for better in rows
        for worse in rows
        if better["paper"]["PSNR"] > worse["paper"]["PSNR"]
    ]
    failed = [
        f"{better['row']} > {worse['row']}"
        for better, worse in claims
        if better["mean"] <= worse["mean"]
    ]
    return {"claims": len(claims), "held": len(claims) - len(failed), "failed": failed}


def as_markdown(result: dict[str, Any]) -> str:
    """A table for people."""
    number, data = result["table"], result["data"]
    paper: Table = published()[number]
    lines = [
        f"# Table {number}: {paper.title}",
        "",
        f"{result['steps']:,} steps, {counted(result['seeds'], 'seed')}, scored on "
        f"{result['scored_on']} of {data['folder']} by protocol {result['protocol']}. The paper's "
        f"column is of {paper.data}: {paper.source}.",
        "",
        f"| | PSNR | ± over seeds | parameters | FLOPs at 256×256 | PSNR on {paper.data} in the "
        "paper | weights |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        spread = "–" if row["deviation"] is None else f"{row['deviation']:.3f}"
        weights = ", ".join(f"`{sha256[:12]}`" for sha256 in row["weights"])
        lines.append(
            f"| {row['row']} | {row['mean']:.3f} | {spread} | {row['parameters']:,} | "
            f"{row['flops'] / 1e9:.3f} G | {row['paper']['PSNR']:.2f} | {weights} |"
        )
    held = result["orderings"]
    lines += ["", f"Of the paper's {held['claims']} orderings by PSNR, {held['held']} held."]
    if held["failed"]:
        lines.append(f"These did not: {'; '.join(held['failed'])}.")
    if paper.note:
        lines += ["", paper.note]
    return "\n".join([*lines, "", _made_with(result)]) + "\n"


def _made_with(result: dict[str, Any]) -> str:
    """What data, weights and code a table is of: all that tells it from another."""
    code = result["scored_by"]
    numbers = ", ".join(f"{name} {version}" for name, version in code["versions"].items())
    return (
        f"Weights are named by how their SHA-256 begins; `table-{result['table']}.json` has all of "
        f"it. Data: SHA-256 of all pixels `{result['data']['sha256']}`. Scored by code "
        f"`{code['code_sha256']}` ({numbers})."
    )
