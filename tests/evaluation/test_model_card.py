from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

from mirnet.checkpoints.store import Checkpoint, read_checkpoint
from mirnet.environment import file_sha256
from mirnet.errors import DataError
from mirnet.evaluation.model_card import model_card
from mirnet.evaluation.scores import Scores
from mirnet.metrics.protocol import PROTOCOLS
from tests.evaluation.test_scores import pair, scores


@pytest.fixture
def checkpoint(tiny_weights: Path) -> Checkpoint:
    return read_checkpoint(tiny_weights)


def made(checkpoint: Checkpoint, *of: Scores, **kind: Any) -> Any:
    return ModelCard(
        model_card(
            "tiny", checkpoint, "f00d", address="hf://me/x", licence="mit", scores=of, **kind
        )
    )


def test_the_metadata_say_what_it_is(checkpoint: Checkpoint, tiny_weights: Path) -> None:
    sha256 = file_sha256(tiny_weights)
    card: Any = ModelCard(model_card("t", checkpoint, sha256, address="hf://me/x", licence="mit"))
    assert card.data.to_dict() == {
        "license": "mit",
        "library_name": "mirnet",
        "pipeline_tag": "image-to-image",
        "tags": ["image-restoration", "denoising", "mirnet-v2"],
    }
    parameters = sum(value.numel() for value in checkpoint.weights.values())
    assert f"mirnet-v2 for denoising, {parameters:,} parameters" in card.text
    assert sha256 in card.text
    assert "## Scores" not in card.text


def test_scores_become_results_of_all_pairs_and_of_each_part(checkpoint: Checkpoint) -> None:
    every = scores(pair("a", 10, "in"), pair("b", 20, "out"), pair("c", 40, "in"))
    card = made(checkpoint, every)
    found = {result.dataset_config: result for result in card.data.eval_results}
    assert {name: result.metric_value for name, result in found.items()} == {
        None: pytest.approx(70 / 3, abs=1e-4),
        "in": 25.0,
        "out": 20.0,
    }
    whole = found[None]
    assert (whole.task_type, whole.metric_type, whole.dataset_name) == (
        "image-to-image", "psnr", "d",
    )  # fmt: skip
    protocol = {"protocol": "photo", "version": PROTOCOLS["photo"].version}
    assert whole.metric_args == protocol
    assert whole.dataset_args == {"pairs": 3, "sha256": every.data_sha256}
    assert card.data.model_name == "tiny"
    assert "| d (3) | photo | PSNR 22.33 | PSNR 23.33 |" in card.text


def test_infinity_is_left_out(checkpoint: Checkpoint) -> None:
    assert made(checkpoint, scores(pair("a", np.inf))).data.eval_results is None


def test_scores_of_other_weights_or_of_the_same_pairs_are_refused(checkpoint: Checkpoint) -> None:
    mine = scores(pair("a", 1))
    with pytest.raises(DataError, match="two are of d"):
        made(checkpoint, mine, mine)
    mine.method["weights"] = "beef"
    with pytest.raises(DataError, match="those of m on d are of other weights"):
        made(checkpoint, mine)


def test_a_text_of_one_s_own_stays_with_its_metadata(checkpoint: Checkpoint) -> None:
    text = "---\nlicense: gpl\ntags: [mine]\ndatasets: [me/data]\n---\n# Mine\n\nAll of it.\n"
    card = made(checkpoint, scores(pair("a", 30)), text=text)
    assert card.text.strip() == "# Mine\n\nAll of it."
    assert card.data.datasets == ["me/data"]
    assert card.data.license == "mit"
    assert card.data.tags == ["mine", "image-restoration", "denoising", "mirnet-v2"]
    again = made(checkpoint, scores(pair("a", 31)), text=str(card))
    assert [result.metric_value for result in again.data.eval_results] == [31.0]
    assert again.data.tags == card.data.tags
    assert made(checkpoint, text="# Plain\n").text.strip() == "# Plain"
