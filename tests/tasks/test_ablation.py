"""The paper's ablations: what each row is, what it costs, and that a table is made of runs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from mirnet.choices import AblationBudget, DataSetName, Split, TableNumber
from mirnet.cli.app import main
from mirnet.data.packing import pack
from mirnet.data.sources import find_pairs
from mirnet.environment import code_sha256, file_sha256, versions
from mirnet.errors import DataError
from mirnet.evaluation.published import published
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.models.config import MIRNetV2Config
from mirnet.models.networks import build
from mirnet.tasks.ablation import COUNTED, ablate, as_markdown, costs, orderings
from mirnet.tasks.ablations import ABLATIONS, BUDGETS, FULL, ablation_recipe
from tests.conftest import random_pixels
from tests.data import publishers
from tests.evaluation.conftest import put_pair

PAPER, SMALL = BUDGETS["paper"], BUDGETS["small"]
TINY = replace(SMALL, steps=3, patches=(8, 12, 16, 20), warmup=1)


def test_every_row_of_every_table_is_there() -> None:
    assert tuple(ABLATIONS) == get_args(TableNumber)
    assert set(BUDGETS) == set(get_args(AblationBudget))
    for number, variants in ABLATIONS.items():
        assert [variant.row for variant in variants] == list(published()[number].rows)
        assert sum(variant.name == FULL for variant in variants) == 1


def test_a_name_is_one_network_trained_one_way() -> None:
    for budget in BUDGETS.values():
        known: dict[str, object] = {}
        for variants in ABLATIONS.values():
            for variant in variants:
                made = ablation_recipe(
                    variant, budget, Path("x"), "realsr-x3", seed=0, device="cpu"
                )
                assert known.setdefault(variant.name, made) == made
        assert len({repr(made) for made in known.values()}) == len(known) == 21


def test_the_paper_s_budget_is_the_paper_s() -> None:
    full = ablation_recipe(ABLATIONS[7][-1], PAPER, Path("x"), "realsr-x3", seed=0, device="cpu")
    assert full.model.config() == MIRNetV2Config()
    (stage,) = full.schedule.stages
    assert (stage.steps, stage.patch_size, stage.batch_size) == (100_000, 128, 64)
    assert (full.optim.loss, full.optim.betas, full.schedule.lr) == (
        "charbonnier",
        (0.9, 0.999),
        2e-4,
    )
    progressive = ablation_recipe(
        ABLATIONS[10][-1], PAPER, Path("x"), "realsr-x3", seed=0, device="cpu"
    )
    assert [stage.patch_size for stage in progressive.schedule.stages] == [128, 144, 192, 224]
    assert sum(stage.steps for stage in progressive.schedule.stages) == 100_000


@pytest.mark.parametrize("number", [8, 9])
def test_counted_costs_are_the_paper_s_within_its_rounding(number: int) -> None:
    for row in costs(number, PAPER):
        paper = row["paper"]
        if "Params (M)" in paper:
            assert round(row["parameters"] / 1e6, 1) == paper["Params (M)"]
            assert round(row["flops"] / 1e9, 1) == paper["FLOPs (B)"]
        if "Parameters" in paper:
            assert row["fusion_parameters"] == paper["Parameters"]


def test_one_stream_is_fused_with_nothing() -> None:
    counted = {row["row"]: row["fusion_parameters"] for row in costs(11, PAPER)}
    assert counted["1 stream, 2 columns"] == 0
    assert counted["2 streams, 2 columns"] == 1_536


@pytest.mark.parametrize("number", ABLATIONS)
def test_every_small_variant_builds(number: int) -> None:
    for variant in ABLATIONS[number]:
        made = ablation_recipe(variant, SMALL, Path("x"), "pairs", seed=1, device="cpu")
        assert sum(each.numel() for each in build(made.model.config()).parameters()) > 10_000


def test_a_table_is_trained_scored_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = publishers.realsr(tmp_path / "data", scale=3)
    said: list[str] = []
    result = ablate(9, TINY, data, "realsr-x3", tmp_path / "out", seeds=2, say=said.append)
    assert len(said) == 6
    for row in result["rows"]:
        assert len(row["psnr"]) == 2
        assert row["psnr"][0] != row["psnr"][1]
        assert row["mean"] == pytest.approx(sum(row["psnr"]) / 2)
    log = tmp_path / "out" / "runs" / f"{FULL}-seed0" / "log.jsonl"
    before = log.read_bytes()
    again = ablate(9, TINY, data, "realsr-x3", tmp_path / "out", seeds=2)
    assert again == result
    assert log.read_bytes() == before  # nothing was trained again
    with monkeypatch.context() as patched:  # nor after an update; it is scored again
        patched.setattr("mirnet.evaluation.method.code_sha256", lambda: "other")
        assert ablate(9, TINY, data, "realsr-x3", tmp_path / "out", seeds=2) == result
    assert log.read_bytes() == before
    text = as_markdown(result)
    assert "| SKFF |" in text
    assert_names_what_made_it(result, text, tmp_path / "out" / "runs")
    assert f"Of the paper's 3 orderings by PSNR, {result['orderings']['held']} held." in text


def assert_names_what_made_it(result: dict[str, Any], text: str, runs: Path) -> None:
    """Data, weights and code; and the paper's data for the paper's column alone."""
    scores = json.loads((runs / f"{FULL}-seed1" / "scores" / "score.json").read_text())
    data = {name: scores["data"][name] for name in ("pairs", "sha256")}
    assert result["data"] == {"folder": "data", "dataset": "realsr-x3", "split": "test", **data}
    assert result["scored_by"] == {"code_sha256": code_sha256(), "versions": versions()}
    assert result["rows"][-1]["row"] == "SKFF"
    weights = result["rows"][-1]["weights"]
    assert weights == [
        file_sha256(runs / f"{FULL}-seed{seed}" / "model.safetensors") for seed in range(2)
    ]
    head, _, rest = text.partition("\n")
    assert head == "# Table 9: Fusion of streams"
    assert "\nBudget small: 16 channels, 3 steps, 2 seeds; scored on " in rest
    assert "| parameters of the network | FLOPs at 256×256 |" in rest
    assert f"\n{COUNTED}.\n" in rest
    assert "one fusion of two streams of 64 channels, not the network's" in rest
    assert f"({result['data']['split']}) of data by protocol realsr-x3" in rest
    assert "| PSNR on RealSR ×3 in the paper |" in rest
    for digest in (weights[0][:12], data["sha256"], code_sha256()):
        assert f"`{digest}`" in rest


@pytest.mark.parametrize(("scales", "protocol"), [((2, 3, 4), "realsr-x3"), ((4,), "realsr-x4")])
def test_realsr_is_taken_as_published_and_scored_by_its_scale(
    scales: tuple[int, ...], protocol: str, tmp_path: Path
) -> None:
    for scale in scales:
        data = publishers.realsr(tmp_path / "data", scale=scale)
    tiny = replace(TINY, steps=2)
    result = ablate(9, tiny, data, None, tmp_path / "out", seeds=1)
    assert result["protocol"] == protocol
    scores = tmp_path / "out" / "runs" / f"{FULL}-seed0" / "scores" / "score.json"
    assert json.loads(scores.read_text())["protocol"]["name"] == protocol


def test_orderings_are_counted() -> None:
    def row(name: str, paper: float, mean: float) -> dict[str, object]:
        return {"row": name, "paper": {"PSNR": paper}, "mean": mean}

    found = orderings([row("a", 30, 5), row("b", 31, 4), row("c", 32, 6)])
    assert found == {"claims": 3, "held": 2, "failed": ["b > a"]}
    assert orderings([row("a", 30, 5), row("b", 30, 4)])["claims"] == 0


def test_the_command_writes_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(BUDGETS, "small", replace(TINY, steps=2))
    data = publishers.realsr(tmp_path / "data", scale=3)
    command = ["ablate", "--table", "9", "--budget", "small", "--seeds", "1"]
    assert main([*command, "--data", str(data), "-o", str(tmp_path / "out")]) == 0
    assert "# Table 9: " in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "table-9.json").read_text())
    assert (found["budget"], found["width"]) == ("small", 16)
    assert [row["row"] for row in found["rows"]] == ["Sum", "Concat", "SKFF"]
    assert (tmp_path / "out" / "table-9.md").exists()


def test_a_dry_run_prints_costs_beside_the_paper_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate", "--table", "8", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "139.8 G" in out
    assert "FLOPs (B) 139.8" in out
    assert "1,536" in out
    assert out.splitlines()[-1].startswith("FLOPs: Table 8's count")
    assert main(["ablate", "--table", "8", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {"8"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "ablate: say where the pairs are, with --data FOLDER, or give --dry-run"),
        (["--data", "x", "--seeds", "0"], "--seeds: must be from 1 to 100, got 0"),
        (["--data", "nowhere", "--table", "9"], "nowhere: there is no such folder"),
        (["--data", "x", "--table", "9", "--table", "9"], "--table: name each table once"),
        (["--dry-run", "--table", "9", "--table", "9"], "--table: name each table once"),
        (["--dry-run", "--data", "x"], "--dry-run: trains nothing; give --table, --budget"),
        (["--dry-run", "--dataset", "pairs"], "--dry-run: trains nothing"),
        (["--dry-run", "--seeds", "0"], "--dry-run: trains nothing"),
        (["--dry-run", "-o", "x"], "--dry-run: trains nothing"),
        (["--dry-run", "--device", "cpu"], "--dry-run: trains nothing"),
    ],
)
def test_wrong_arguments_get_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ablate", *arguments]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["cut", "of another size"])
def test_a_pair_that_cant_be_scored_is_refused_before_training(tmp_path: Path, fault: str) -> None:
    data = publishers.realsr(tmp_path / "data", scale=3)
    broken = max(data.rglob("*_LR3.png"), key=lambda path: "Test" in path.parts)
    if fault == "cut":
        broken.write_bytes(broken.read_bytes()[:200])
    else:
        write_photo(Photo(pixels=random_pixels((40, 40, 3))), broken)
    with pytest.raises(DataError) as told:
        ablate(9, TINY, data, "realsr-x3", tmp_path / "out", seeds=1)
    assert str(told.value).startswith(f"{broken}: ")
    assert not (tmp_path / "out").exists()


def test_a_pair_that_was_not_packed_ends_the_table(tmp_path: Path) -> None:
    data, packed = publishers.realsr(tmp_path / "data", scale=3), tmp_path / "packed"
    broken = max(data.rglob("*_LR3.png"), key=lambda path: "Test" in path.parts)
    broken.write_bytes(broken.read_bytes()[:200])
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        pairs = find_pairs(data, "realsr-x3", split)
        pack(pairs, packed, dataset="realsr-x3", split=split)
    with pytest.raises(DataError, match=r"was not packed, .*mend it, and pack again"):
        ablate(9, TINY, packed, None, tmp_path / "out", seeds=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", ["train", "val"])
def test_runs_do_not_become_data(tmp_path: Path, part: str) -> None:
    for number, split in enumerate(("train", "val")):
        pixels = random_pixels((40, 40, 3), seed=number)
        put_pair(tmp_path / "mine" / split, "0", pixels, 5)
    place = tmp_path / "mine" / part / "target"
    with pytest.raises(DataError, match=r"is among the pictures in .*; name another --output"):
        ablate(9, TINY, tmp_path / "mine", "pairs", place, seeds=1)


def test_pairs_that_are_trained_on_are_not_scored(tmp_path: Path) -> None:
    for number in range(3):
        put_pair(tmp_path / "mine", f"{number}", random_pixels((40, 40, 3), seed=number), 5)
    with pytest.raises(DataError, match=r"is both trained on and scored; .* needs train/ and val/"):
        ablate(9, TINY, tmp_path / "mine", "pairs", tmp_path / "out", seeds=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("dataset", "count"), [("clean", "no"), ("dpdd", "2"), ("pairs", "2")])
def test_pairs_of_other_than_one_input_are_refused_before_training(
    dataset: DataSetName, count: str, tmp_path: Path
) -> None:
    data, out = publishers.dpdd(tmp_path / "data"), tmp_path / "out"
    for number, split in enumerate(("train", "val")):
        for part in ("inputL", "inputR", "target"):
            publishers.put(data / split / part / "0.png", random_pixels((40, 40, 3), seed=number))
    words = f"has {count} inputs; ablate needs pairs of one input and one target"
    with pytest.raises(DataError, match=words):
        ablate(9, TINY, data, dataset, out, seeds=1, say=pytest.fail)
    assert not out.exists()


RESULTS = Path(__file__).parents[2] / "results" / "ablation"


@pytest.mark.parametrize("number", ABLATIONS)
def test_committed_tables_have_the_note_of_the_paper_s(number: int) -> None:
    assert published()[number].note in (RESULTS / f"table-{number}.md").read_text("utf-8")


def test_committed_rows_of_one_stream_are_fused_with_nothing() -> None:
    rows = json.loads((RESULTS / "table-11.json").read_text("utf-8"))["rows"]
    fused = [row["row"] for row in rows if row["fusion_parameters"]]
    assert fused == [name for name in published()[11].rows if not name.startswith("1 stream,")]
