import base64
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
from mirnet.evaluation.figures import figures
from mirnet.evaluation.method import Method
from mirnet.evaluation.plots import strip_plot
from mirnet.evaluation.report import write_report
from mirnet.evaluation.run import run
from mirnet.evaluation.scores import Scores, read_scores
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.metrics.protocol import PROTOCOLS
from tests.conftest import random_pixels
from tests.data import publishers
from tests.evaluation.conftest import put_pair

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


LEVELS = 5
OFF = 40


def improving(steps: int = 1, kind: str = "network", name: str = "better") -> Method:
    """Takes off more of what pairs are off by (`OFF` levels), the later they stand."""

    def restore(pair: Pair, views: Tensor) -> Tensor:
        return views - LEVELS * steps * int(pair.id) / 255

    about = {"weights": "ab" * 32, "device": "cpu", "precision": "float32"}
    made: dict[str, Any] = {"kind": kind, "folder": name, "versions": {}, **about}
    return Method(name=name, identity=made, restore=restore)


@pytest.fixture
def steps(tmp_path: Path) -> tuple[Pair, ...]:
    for number in range(7):
        put_pair(tmp_path / "data", f"{number}", publishers.picture(number), OFF)
    return find_pairs(tmp_path / "data")


def scored(method: Method, pairs: tuple[Pair, ...], folder: Path, **about: Any) -> Scores:
    data = {
        "label": "x", "benchmark": None, "split": None, "whole": [], "note": None, **about
    }  # fmt: skip
    return run(method, pairs, PROTOCOLS["photo"], data=data, folder=folder / method.name)


def level(address: str, path: Path) -> float:
    """The mean of a picture that a page holds."""
    path.write_bytes(base64.b64decode(address.partition("base64,")[2]))
    return float(read_photo(path).pixels.mean())


def test_the_most_and_the_least_improved_are_shown_as_what_they_are(
    steps: tuple[Pair, ...], tmp_path: Path
) -> None:
    scores = scored(improving(), steps, tmp_path / "out")
    shown = figures({tmp_path / "out" / "better": scores}, steps)
    assert [(each.id, each.what.partition(": ")[0]) for each in shown] == [
        *((name, "among the most improved") for name in "654"),
        *((name, "among the least improved") for name in "012"),
    ]
    before, after = (getattr(scores.pairs[6], name)["psnr"] for name in ("input", "scores"))
    assert f": PSNR {before:.2f} → {after:.2f} dB by better" in shown[0].what


def test_each_picture_stands_under_its_name(steps: tuple[Pair, ...], tmp_path: Path) -> None:
    scores = scored(improving(), steps, tmp_path / "out")
    best = figures({tmp_path / "out" / "better": scores}, steps)[0]
    pictures = {"before": best.before, "after": best.after, **dict(best.crops)}
    target = steps[6].target
    assert target is not None
    off = {"before": OFF, "after": OFF - 6 * LEVELS, "input": OFF, "better": OFF - 6 * LEVELS}
    for name, address in pictures.items():
        expected = target.pixels().mean() + off.get(name, 0)
        assert level(address, tmp_path / "picture.webp") == pytest.approx(expected, abs=2), name
    assert list(pictures) == ["before", "after", "input", "better", "target"]
    html = write_report(tmp_path / "out", steps).read_text("utf-8")
    assert f'src="{best.after}" alt="restored"' in html
    assert f'src="{best.before}" alt="input"' in html


def test_networks_stand_last_and_the_best_of_them_below_all(
    steps: tuple[Pair, ...], tmp_path: Path
) -> None:
    """Next to what is told of it; whatever a method of another kind scores."""
    for method in (
        improving(2, "network", "a-better-network"),
        improving(1, "network", "b-network"),
        improving(3, "pictures", "c-pictures"),
        improving(4, "baseline", "d-baseline"),
    ):
        scored(method, steps[:3], tmp_path / "out")
    html = write_report(tmp_path / "out", steps[:3]).read_text("utf-8")
    names = re.findall(r'<tr class="ours"><td>([\w-]+)', html)
    assert names == ["input", "d-baseline", "c-pictures", "b-network", "a-better-network"]
    assert "Slide between the input and a-better-network." in html


def test_the_input_and_each_method_have_strips_of_their_own(
    steps: tuple[Pair, ...], tmp_path: Path
) -> None:
    scores = scored(improving(), steps, tmp_path / "out")
    html = write_report(tmp_path / "out", steps).read_text("utf-8")
    for metric in ("psnr", "ssim"):
        before, after = (
            [getattr(pair, of)[metric] for pair in scores.pairs] for of in ("input", "scores")
        )
        assert strip_plot({"input": before, "better": after}) in html


def test_the_bar_of_a_strip_is_at_the_mean() -> None:
    plot = strip_plot({"a": [0.0, 1.0, 5.0]})
    first, second, _ = (float(x) for x in re.findall(r'<circle cx="([\d.]+)"', plot))
    ((left, right),) = re.findall(r'<line x1="([\d.]+)" x2="([\d.]+)" [^>]*class="mean"', plot)
    assert left == right
    assert float(left) == pytest.approx(first + 2 * (second - first), abs=0.2)


@pytest.mark.parametrize("newest", ["a", "b"])
def test_the_newest_scores_say_what_the_page_is_of(
    newest: str, steps: tuple[Pair, ...], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        scores = scored(improving(name=name), steps[:2], tmp_path / "out")
        made = {**scores.made, "at": f"202{int(name == newest)}-01-01T00:00:00+00:00"}
        data = {**scores.data, "label": f"pairs of {name}"}
        replace(scores, made=made, data=data).write(tmp_path / "out" / name)
    found = page(write_report(tmp_path / "out", steps[:2])).text
    assert f"pairs of {newest}" in found
    assert f"pairs of {'ab'.replace(newest, '')}" not in found


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        (("export A", "export A"), ["Data: export A"]),
        (("export A", "export B"), ["Data: export A (a)", "Data: export B (b)"]),
        (("export A", ""), ["Data: export A (a)"]),
        (("", ""), []),
    ],
)
def test_what_was_said_of_the_data_stands_on_the_page(
    notes: tuple[str, str], said: list[str], steps: tuple[Pair, ...], tmp_path: Path
) -> None:
    for name, note in zip("ab", notes, strict=True):
        scored(improving(name=name), steps[:2], tmp_path / "out", note=note)
    found = page(write_report(tmp_path / "out", steps[:2])).text
    assert sorted(re.findall(r"Data: export \w(?: \(\w\))?", found)) == said


def test_scores_that_a_page_can_t_show_are_passed_by(
    steps: tuple[Pair, ...], tmp_path: Path
) -> None:
    """They are no reason to lose the page of the others."""
    for name in ("good", "odd"):
        scores = scored(improving(name=name), steps[:2], tmp_path / "out")
    odd = tmp_path / "out" / "odd"
    for part, key in (("made", "versions"), ("data", "whole"), ("protocol", "crop")):
        kept = {name: value for name, value in getattr(scores, part).items() if name != key}
        changed: dict[str, Any] = {part: kept}
        replace(scores, **changed).write(odd)
        assert "good" in page(write_report(tmp_path / "out", steps[:2])).text
    replace(scores, method={**scores.method, "kind": "of another day"}).write(odd)
    assert "of another day" in page(write_report(tmp_path / "out", steps[:2])).text
