import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from mirnet.data.pair import Pair
from mirnet.data.sources import find_pairs
from mirnet.errors import DataError
from mirnet.evaluation.baselines import by_baseline
from mirnet.evaluation.method import Method
from mirnet.evaluation.plots import strip_plot
from mirnet.evaluation.report import write_report
from mirnet.evaluation.run import run
from mirnet.evaluation.scores import read_scores
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.metrics.protocol import PROTOCOLS
from tests.conftest import random_pixels
from tests.data import publishers

BRIGHTER = Method(
    name="<brighter>",
    identity={"kind": "network", "weights": "ab" * 32, "device": "cpu", "precision": "float32"},
    restore=lambda _, views: (views * 4).clamp(0, 1),
)
VOID = {"meta", "img", "input", "br", "line", "circle"}


class Checker(HTMLParser):
    """Raises where an element is not closed, and collects what the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(path: Path) -> Checker:
    checker = Checker()
    checker.feed(path.read_text("utf-8"))
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture
def lol(tmp_path: Path) -> Path:
    """A folder with scores of two methods on LoL."""
    pairs = find_pairs(publishers.lol(tmp_path / "data"), "lol", "test")
    data = {
        "label": "lol", "benchmark": "lol", "split": "test", "whole": [15], "note": "<tiny>"
    }  # fmt: skip
    for method in (BRIGHTER, by_baseline("histogram-equalisation")):
        folder = tmp_path / "out" / method.name.strip("<>")
        run(method, pairs, PROTOCOLS["lol"], data=data, folder=folder)
    return tmp_path


def test_a_report_stands_beside_the_paper_s_table(lol: Path) -> None:
    pairs = find_pairs(lol / "data", "lol", "test")
    found = page(write_report(lol / "out", pairs))
    for words in ("KinD++", "21.3", "MIRNet-v2", "24.74", "histogram-equalisation", "Table 5"):
        assert words in found.text
    scores = read_scores(lol / "out" / "brighter" / "score.json")
    assert f"{scores.means()['psnr']:.2f}" in found.text
    assert f"{scores.means()['psnr'] - 24.74:+.2f}" in found.text
    assert f"{scores.input_means()['ssim']:.4f}" in found.text
    assert "These are a part: the whole benchmark has 15 pairs." in found.text
    assert scores.data_sha256 in found.text


def test_a_report_asks_nobody_for_anything_and_runs_no_name(lol: Path) -> None:
    path = write_report(lol / "out", find_pairs(lol / "data", "lol", "test"))
    found = page(path)
    assert found.fetched
    assert all(address.startswith("data:image/webp;base64,") for address in found.fetched)
    html = path.read_text("utf-8")
    assert "default-src 'none'" in html
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"base64,[^\"]*", "", html))
    assert "<brighter>" not in html
    assert "&lt;brighter&gt;" in html
    assert "&lt;tiny&gt;" in html


def test_a_pair_that_fails_for_one_method_drops_no_other(lol: Path) -> None:
    def restore(pair: Pair, views: Tensor) -> Tensor:
        if pair.id == pairs[1].id:
            raise MemoryError
        return views

    pairs = find_pairs(lol / "data", "lol", "test")
    failing = Method(name="failing", identity=BRIGHTER.identity, restore=restore)
    data = read_scores(lol / "out" / "brighter" / "score.json").data
    run(failing, pairs, PROTOCOLS["lol"], data=data, folder=lol / "out" / "failing")
    found = page(write_report(lol / "out", pairs)).text
    assert f"{len(pairs)} pairs, protocol" in found
    assert f"Not scored on all pairs, and left out: failing (lacks {pairs[1].id})." in found
    assert "Not scored: failing" in found
    assert "other pictures, and left out" not in found
    for name in ("<brighter>", "histogram-equalisation"):
        assert name in found


@pytest.mark.parametrize(("benchmark", "name"), [("realsr-x2", "input (bicubic)"), (None, "input")])
def test_the_benchmark_says_what_its_inputs_are(
    benchmark: str | None, name: str, tmp_path: Path
) -> None:
    """And not the protocol, by which anybody's pairs can be scored."""
    pairs = find_pairs(publishers.realsr(tmp_path / "data"), "realsr-x2", "test")
    data = {
        "label": "x", "benchmark": benchmark, "split": "test", "whole": [30], "note": None
    }  # fmt: skip
    run(BRIGHTER, pairs, PROTOCOLS["realsr-x2"], data=data, folder=tmp_path / "out" / "brighter")
    path = write_report(tmp_path / "out", pairs)
    assert f"<td>{name}</td>" in path.read_text("utf-8")
    assert "PSNR ↑" in page(path).text


def test_scores_of_other_data_are_left_out_by_name(lol: Path) -> None:
    path = lol / "out" / "histogram-equalisation"
    scores = read_scores(path / "score.json")
    made = {**scores.made, "at": "2020-01-01T00:00:00+00:00"}
    other = replace(scores.pairs[0], digests=("0" * 64, "1" * 64))
    replace(scores, pairs=(other,), made=made).write(path)
    found = page(write_report(lol / "out", find_pairs(lol / "data", "lol", "test")))
    assert "left out: histogram-equalisation" in found.text


def test_pictures_that_are_gone_do_not_stop_a_report(lol: Path) -> None:
    pairs = find_pairs(lol / "data", "lol", "test")
    for picture in lol.glob("out/*/pictures/*.png"):
        picture.unlink()
    for picture in (lol / "data").rglob("1.png"):
        picture.unlink()
    found = page(write_report(lol / "out", pairs))
    assert "Scores" in found.text


def test_a_folder_without_scores_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no scores yet"):
        write_report(tmp_path, ())


def test_a_strip_plot_leaves_infinity_out() -> None:
    plot = strip_plot({"a<": [1.0, 2.0, float("inf")], "b": []})
    assert plot.count("<circle") == 2
    assert "a&lt;" in plot
    assert "nan" not in plot
    assert "inf" not in plot
    assert strip_plot({"same": [3.0, 3.0]}).count("<circle") == 2


def test_a_pair_whose_restored_picture_is_gone_is_not_shown(lol: Path) -> None:
    """The target must never stand there as what was restored."""
    pairs = find_pairs(lol / "data", "lol", "test")
    shown = page(write_report(lol / "out", pairs)).text
    assert "by <brighter>" in shown
    for picture in (lol / "out" / "brighter" / "pictures").iterdir():
        picture.unlink()
    assert "by <brighter>" not in page(write_report(lol / "out", pairs)).text


@pytest.mark.parametrize("damage", ["a picture", "a journal"])
def test_a_picture_that_was_not_scored_is_not_shown(lol: Path, damage: str) -> None:
    """Neither one that was put in its place, nor one that nothing can be said of any more."""
    pairs = find_pairs(lol / "data", "lol", "test")
    place = lol / "out" / "histogram-equalisation"
    crop = "<figcaption>histogram-equalisation</figcaption>"
    assert write_report(lol / "out", pairs).read_text("utf-8").count(crop) == len(pairs)
    if damage == "a journal":
        (place / "journal.jsonl").write_text("{}\n")
    for path in (place / "pictures").iterdir():
        if damage == "a picture":
            write_photo(Photo(pixels=random_pixels((64, 64, 3))), path)
    report = write_report(lol / "out", pairs)
    assert crop not in report.read_text("utf-8")
    assert "by <brighter>" in page(report).text


def test_damaged_scores_of_another_method_are_left_out(
    lol: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (lol / "out" / "broken").mkdir()
    (lol / "out" / "broken" / "score.json").write_text("{}")
    assert write_report(lol / "out", find_pairs(lol / "data", "lol", "test")).exists()
    assert "left out of the report" in caplog.text


@pytest.mark.parametrize("size", [(1, 40), (1, 1), (3000, 8), (2, 1)])
def test_strips_have_a_page_too(size: tuple[int, int], tmp_path: Path) -> None:
    for part in ("input", "target"):
        (tmp_path / part).mkdir()
        write_photo(Photo(pixels=random_pixels((*size, 3))), tmp_path / part / "a.png")
    for part, level in (("input", 20), ("target", 30)):
        write_photo(Photo(pixels=np.full((*size, 3), level, np.uint8)), tmp_path / part / "b.png")
    data: dict[str, Any] = {
        "label": "x",
        "benchmark": None,
        "split": None,
        "whole": [],
        "note": None,
    }
    pairs = find_pairs(tmp_path)
    run(BRIGHTER, pairs, PROTOCOLS["lol"], data=data, folder=tmp_path / "out" / "brighter")
    assert "by <brighter>" in page(write_report(tmp_path / "out", pairs)).text
