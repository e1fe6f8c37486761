"""The card of weights as a hub shows it: what they are, their licence, and their scores.

Its metadata have the form of Hugging Face's hub, which other hubs read too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mirnet import __version__
from mirnet.checkpoints.store import Checkpoint
from mirnet.errors import DataError
from mirnet.evaluation.scores import Scores

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

KIND = "image-to-image"
"""What hubs call restoration, as a task and as a pipeline."""
NO_METADATA = "---\nlibrary_name: mirnet\n---\n"


def model_card(
    name: str,
    checkpoint: Checkpoint,
    sha256: str,
    *,
    address: str,
    licence: str,
    scores: Sequence[Scores] = (),
    text: str | None = None,
) -> str:
    """The card of a weights file: metadata for the hub, and a text for its readers.

    Args:
        name: what the weights are called.
        checkpoint: what the file holds.
        sha256: of the file.
        address: where it will be had, as ``hf://owner/name``.
        licence: as the hub names it, such as ``apache-2.0``.
        scores: of these very weights; their means become the hub's evaluation results.
        text: in Markdown, instead of one of what is known. Metadata before it are kept where these
            say nothing.

    Raises DataError if a score is of other weights, or two are of the same pairs.
    """
    from huggingface_hub import ModelCard, ModelCardData  # noqa: PLC0415

    _require_of(sha256, scores)
    text = text or _text(name, checkpoint, sha256, address, licence, scores)
    card = ModelCard(text if text.startswith("---\n") else NO_METADATA + text)
    found = dict(card.data.to_dict())  # type: ignore[no-untyped-call]
    tags = ["image-restoration", checkpoint.task, checkpoint.config.NETWORK]
    ours: dict[str, Any] = {
        "license": licence,
        "library_name": "mirnet",
        "pipeline_tag": KIND,
        "tags": [*found.get("tags", ()), *filter(None, tags)],
    }
    if results := [result for each in scores for result in _results(each)]:
        found.pop("model-index", None)
        ours |= {"model_name": name, "eval_results": results}
    card.data = ModelCardData(**found | ours)
    return str(card)


def _require_of(sha256: str, scores: Sequence[Scores]) -> None:
    for each in scores:
        if each.method.get("weights") != sha256:
            raise DataError(
                f"--scores: those of {each.method['name']} on {each.data['label']} are of other "
                "weights; score this file with `mirnet evaluate`"
            )
    labels = [each.data["label"] for each in scores]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise DataError(f"--scores: two are of {min(twice)}; name one")


def _results(scores: Scores) -> Iterator[EvalResult]:
    """The means as the hub has them, of all pairs and of each part; infinity it can't hold."""
    from huggingface_hub import EvalResult  # noqa: PLC0415

    label, protocol = str(scores.data["label"]), scores.protocol
    for group in (None, *scores.groups):
        for metric, value in scores.means(group).items():
            if math.isfinite(value):
                yield EvalResult(
                    task_type=KIND,
                    dataset_type=label,
                    dataset_name=f"{label}, {group}" if group else label,
                    dataset_config=group,
                    dataset_split=scores.data.get("split"),
                    dataset_args={"pairs": len(scores.pairs), "sha256": scores.data_sha256},
                    metric_type=metric,
                    metric_name=metric.upper(),
                    metric_value=round(value, 4),
                    metric_args={"protocol": protocol["name"], "version": protocol["version"]},
                )


def _text(
    name: str,
    checkpoint: Checkpoint,
    sha256: str,
    address: str,
    licence: str,
    scores: Sequence[Scores],
) -> str:
    config = checkpoint.config
    parameters = sum(value.numel() for value in checkpoint.weights.values())
    views = "the two views of a dual-pixel photo" if config.in_channels == 6 else "RGB"
    return f"""# {name}

{config.NETWORK} for {checkpoint.task or "a task that is not noted"}, {parameters:,} parameters; put
here by mirnet {__version__}.

- File: SHA-256 `{sha256}`
- In: {views}, {config.in_channels} channels; out: {config.out_channels}
- Licence: {licence}

```sh
pip install "mirnet[hub]"
mirnet restore photo.jpg --weights {address}
```
{_table(scores) if scores else ""}"""


def _table(scores: Sequence[Scores]) -> str:
    """The means, beside those of the inputs."""
    rows = "\n".join(
        f"| {each.data['label']} ({len(each.pairs)}) | {each.protocol['name']} "
        f"| {_listed(each.input_means())} | {_listed(each.means())} |"
        for each in scores
    )
    return f"""
## Scores

Made by `mirnet evaluate`; the protocol says how.

| pairs | protocol | input | restored |
|---|---|---|---|
{rows}
"""


def _listed(means: dict[str, float]) -> str:
    return ", ".join(f"{metric.upper()} {value:.4g}" for metric, value in means.items())
