"""``mirnet evaluate``: scores on pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mirnet.choices import Device, Precision, ProtocolName, TaskName


def evaluate(
    *folders: Path,
    task: TaskName | None = None,
    weights: str | None = None,
    protocol: ProtocolName = "photo",
    device: Device = "auto",
    precision: Precision = "auto",
    json_output: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Score weights on folders of pairs (input/ and target/ with the same names).

    Parameters
    ----------
    folders
        The folders; each is scored on its own.
    task
        What the pairs are for; denoising, or what the weights are for, unless told.
    weights
        A weights file or a name that `mirnet weights` lists, instead of the task's own.
    protocol
        How to score: rounding, colour, border and form of SSIM. photo is for pairs of your own.
    device
        Where to compute.
    precision
        Arithmetic of the network.
    json_output
        Print JSON with the score of every pair instead of a table.
    """
    from dataclasses import asdict

    from mirnet.errors import DataError
    from mirnet.evaluation.evaluate import evaluate_folder
    from mirnet.inference.restorer import Restorer
    from mirnet.tasks.weights import checkpoint_for, weights_for

    if not folders:
        raise DataError("evaluate: name at least one folder with input/ and target/")
    path, checkpoint = checkpoint_for(task, weights_for(task, weights))
    restorer = Restorer(checkpoint.build(), device=device, precision=precision)
    for folder in folders:
        scores = evaluate_folder(restorer, folder, protocol)
        if json_output:
            print(json.dumps({"folder": str(folder), "weights": str(path), **asdict(scores)}))
        else:
            means = "  ".join(f"{name} {value:.4f}" for name, value in scores.means().items())
            print(f"{folder}  {len(scores.images)} pairs  {means}  (protocol {protocol})")
