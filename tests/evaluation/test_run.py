import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import Tensor

from mirnet.checkpoints.load import load_checkpoint
from mirnet.checkpoints.store import save_model
from mirnet.data.packing import pack
from mirnet.data.pair import Pair
from mirnet.data.sources import find_pairs
from mirnet.errors import DataError, PhotoError
from mirnet.evaluation.compare import compare
from mirnet.evaluation.journal import NothingScoredError, OtherScoresError, picture_path
from mirnet.evaluation.method import Method, by_network, by_pictures, place_name
from mirnet.evaluation.run import run
from mirnet.evaluation.scores import Scores, read_scores
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.restorer import Restorer
from mirnet.metrics.protocol import PROTOCOLS
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import TINY, random_pixels, signature_of
from tests.data import publishers
from tests.evaluation.conftest import put_pair

DATA: dict[str, Any] = {"label": "x", "benchmark": None, "split": None, "whole": [], "note": None}


class Darker:
    """A method that remembers what it restored."""

    def __init__(self, levels: int = 1, stop_at: str | None = None) -> None:
        self.seen: list[str] = []
        self.stop_at = stop_at
        self.levels = levels

    def method(self) -> Method:
        return Method(
            name="darker", identity={"kind": "test", "levels": self.levels}, restore=self.restore
        )

    def restore(self, pair: Pair, views: Tensor) -> Tensor:
        if pair.id == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(pair.id)
        return views - self.levels / 255


@pytest.fixture
def scored(tmp_path: Path) -> Callable[..., Scores]:
    """Scores four pairs into a folder."""
    for number in range(4):
        put_pair(tmp_path / "data", f"{number}", random_pixels((20, 24, 3), seed=number), 5)

    def score(darker: Darker, **kind: Any) -> Scores:
        folder = kind.pop("folder", tmp_path / "out")
        pairs = find_pairs(tmp_path / "data")
        kind = {"data": DATA, "folder": folder, **kind}
        return run(darker.method(), pairs, PROTOCOLS["photo"], **kind)

    return score


def test_a_run_that_was_stopped_goes_on(scored: Callable[..., Scores], tmp_path: Path) -> None:
    whole = scored(Darker(), folder=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        scored(Darker(stop_at="2"))
    assert not (tmp_path / "out" / "score.json").exists()
    second = Darker()
    again = scored(second)
    assert second.seen == ["2", "3"]
    assert [pair.scores for pair in again.pairs] == [pair.scores for pair in whole.pairs]
    assert again.data_sha256 == whole.data_sha256
    assert read_scores(tmp_path / "out" / "score.json").pairs == again.pairs


def test_a_run_can_be_compared_with_what_it_wrote(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    scores = scored(Darker())
    assert compare(scores, read_scores(tmp_path / "out" / "score.json"))[0].mean == 0


def test_a_line_that_was_torn_is_scored_again(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    before = scored(Darker())
    journal = tmp_path / "out" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    second = Darker()
    after = scored(second)
    assert second.seen == ["3"]
    assert [pair.scores for pair in after.pairs] == [pair.scores for pair in before.pairs]
    third = Darker()
    scored(third)
    assert third.seen == []


def test_what_has_changed_is_scored_again(scored: Callable[..., Scores], tmp_path: Path) -> None:
    before = scored(Darker())
    put_pair(tmp_path / "data", "1", random_pixels((20, 24, 3), seed=99), 9)
    second = Darker()
    after = scored(second)
    assert second.seen == ["1"]
    assert after.data_sha256 != before.data_sha256
    assert len(after.pairs) == 4


def test_scores_of_something_else_are_not_mixed(
    scored: Callable[..., Scores], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(Darker())
    with pytest.raises(DataError, match="out: holds scores of another method; name another"):
        scored(Darker(levels=2))
    for name in ("code_sha256", "versions"):
        with monkeypatch.context() as patched:
            patched.setattr(f"mirnet.evaluation.method.{name}", lambda: "other")
            with pytest.raises(DataError, match=f"holds scores of another {name[:4]}"):
                scored(Darker())
    with pytest.raises(DataError, match="holds scores of another data folder; name another"):
        scored(Darker(), data={**DATA, "place_sha256": "b"})


def test_a_damaged_journal_is_named(scored: Callable[..., Scores], tmp_path: Path) -> None:
    scored(Darker())
    journal = tmp_path / "out" / "journal.jsonl"
    for damage in ("", "no json\n", '{"of": {}}\n[1]\n', '{"of": 3}\n'):
        journal.write_text(damage)
        with pytest.raises(DataError, match=r"journal\.jsonl: is damaged; remove it"):
            scored(Darker())


def test_two_runs_do_not_share_a_folder(scored: Callable[..., Scores], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(DataError, match="another run scores"):
        scored(Darker())


def test_restored_pictures_are_kept_and_score_the_same(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    before = scored(Darker())
    pairs = find_pairs(tmp_path / "data")
    source = pairs[0].views[0].pixels()
    assert np.array_equal(read_photo(picture_path(tmp_path / "out", "0")).pixels, source - 1)
    method = by_pictures(tmp_path / "out" / "pictures")
    again = run(method, pairs, PROTOCOLS["photo"], data=DATA)
    assert [pair.scores for pair in again.pairs] == [pair.scores for pair in before.pairs]


def test_pictures_of_float_data_are_kept_in_16_bits(tmp_path: Path) -> None:
    for part in ("input", "target"):
        (tmp_path / "data" / part).mkdir(parents=True)
        pixels = random_pixels((20, 24, 3)).astype(np.float32) / 300
        write_photo(Photo(pixels=pixels), tmp_path / "data" / part / "0.tif")
    method = Method(name="same", identity={"kind": "test"}, restore=lambda _, views: views)
    pairs, folder = find_pairs(tmp_path / "data"), tmp_path / "out"
    run(method, pairs, PROTOCOLS["photo"], data=DATA, folder=folder)
    assert read_photo(picture_path(folder, "0")).pixels.dtype == np.uint16


def test_another_program_s_changed_picture_is_scored_again(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    scored(Darker())
    theirs = tmp_path / "theirs"
    shutil.copytree(tmp_path / "out" / "pictures", theirs)
    pairs, photo = find_pairs(tmp_path / "data"), PROTOCOLS["photo"]
    first = run(by_pictures(theirs), pairs, photo, data=DATA, folder=tmp_path / "b")
    write_photo(Photo(pixels=pairs[2].views[0].pixels()), theirs / "2.png")
    second = run(by_pictures(theirs), pairs, photo, data=DATA, folder=tmp_path / "b")
    changed = [a.scores != b.scores for a, b in zip(first.pairs, second.pairs, strict=True)]
    assert changed == [False, False, True, False]


def test_packed_data_is_the_same_data(scored: Callable[..., Scores], tmp_path: Path) -> None:
    before = scored(Darker())
    pack(find_pairs(tmp_path / "data"), tmp_path / "packed", dataset="pairs", split="test")
    packed = find_pairs(tmp_path / "packed", "pairs", "test")
    after = run(Darker().method(), packed, PROTOCOLS["photo"], data=DATA)
    assert after.data_sha256 == before.data_sha256
    assert [pair.scores for pair in after.pairs] == [pair.scores for pair in before.pairs]


def test_nothing_to_score_is_an_error(scored: Callable[..., Scores], tmp_path: Path) -> None:
    for path in (tmp_path / "data" / "input").iterdir():
        path.write_bytes(b"")
    told = r"^x: darker: no pair could be scored; the first: .*0\.png"
    with pytest.raises(NothingScoredError, match=told):
        scored(Darker(), folder=tmp_path / "made" / "out")
    assert not (tmp_path / "made").exists()


def test_nothing_to_score_leaves_what_was_there(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    scored(Darker())
    (tmp_path / "empty" / "out" / "pictures").mkdir(parents=True)
    for path in (tmp_path / "data" / "input").iterdir():
        path.write_bytes(b"")
    for folder in (tmp_path / "out", tmp_path / "empty" / "out"):
        with pytest.raises(NothingScoredError):
            scored(Darker(), folder=folder)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"score.json", "pictures"}
    assert list((tmp_path / "empty").iterdir()) == []


def test_pairs_that_are_all_unreadable_are_no_pairs_of_none() -> None:
    with pytest.raises(NothingScoredError, match="the first: is torn"):
        run(Darker().method(), (), PROTOCOLS["photo"], data=DATA, unreadable={"a": "is torn"})
    with pytest.raises(DataError, match="x: holds no pairs to score"):
        run(Darker().method(), (), PROTOCOLS["photo"], data=DATA)


def test_a_score_says_what_made_it(scored: Callable[..., Scores], tmp_path: Path) -> None:
    scored(Darker())
    found = json.loads((tmp_path / "out" / "score.json").read_text("utf-8"))
    assert found["method"] == {"name": "darker", "kind": "test", "levels": 1}
    assert found["protocol"]["name"] == "photo"
    assert found["protocol"]["version"] == 1
    assert found["protocol"]["ssim"] == "wang"
    assert len(found["data"]["sha256"]) == len(found["made"]["code_sha256"]) == 64
    assert {"mirnet", "torch", "numpy", "python", "system"} <= found["made"]["versions"].keys()
    rows = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert rows[0] == "id,group,psnr,ssim,input_psnr,input_ssim,seconds"
    assert float(rows[1].split(",")[2]) == found["scores"][0]["scores"]["psnr"]
    assert len(rows) == 5


def test_groups_are_those_of_the_data_now(scored: Callable[..., Scores], tmp_path: Path) -> None:
    scored(Darker())
    pairs = [replace(pair, group="indoor") for pair in find_pairs(tmp_path / "data")]
    darker = Darker()
    again = run(darker.method(), pairs, PROTOCOLS["photo"], data=DATA, folder=tmp_path / "out")
    assert again.groups == ("indoor",)
    assert darker.seen == []


def test_a_picture_that_is_gone_is_made_again(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    scored(Darker())
    picture_path(tmp_path / "out", "2").unlink()
    again = Darker()
    scored(again)
    assert again.seen == ["2"]
    assert picture_path(tmp_path / "out", "2").exists()


def test_a_picture_that_was_replaced_is_made_again(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    scored(Darker())
    path = picture_path(tmp_path / "out", "2")
    before = path.read_bytes()
    shutil.copyfile(tmp_path / "data" / "target" / "2.png", path)
    again = Darker()
    scored(again)
    assert again.seen == ["2"]
    assert path.read_bytes() == before


def test_the_picture_of_a_pair_that_is_no_more_goes(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    scored(Darker())
    out = tmp_path / "out"
    theirs = out / "pictures" / "theirs.png"
    theirs.write_bytes(b"a stranger's")
    picture_path(out, "1").write_bytes(b"a stranger's too")
    for name in ("1", "2"):
        for part in ("input", "target"):
            (tmp_path / "data" / part / f"{name}.png").rename(tmp_path / f"{part}-{name}.png")
    scored(Darker())
    left = sorted(path.name for path in (out / "pictures").iterdir())
    assert left == ["0.png", "1.png", "3.png", "theirs.png"]
    for part in ("input", "target"):
        (tmp_path / f"{part}-2.png").rename(tmp_path / "data" / part / "2.png")
    again = Darker()
    scored(again)
    assert again.seen == ["2"]
    assert picture_path(out, "2").exists()


def test_the_picture_of_a_pair_that_cant_be_read_now_stays(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    scored(Darker())
    (tmp_path / "data" / "input" / "1.png").unlink()
    (tmp_path / "data" / "target" / "1.png").unlink()
    scored(Darker(), unreadable={"1": "is torn"})
    assert picture_path(tmp_path / "out", "1").exists()


def test_scores_of_a_version_that_noted_no_pictures_are_other_scores(
    scored: Callable[..., Scores], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(Darker())
    journal = tmp_path / "out" / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines[1:]:
        del line["picture"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr("mirnet.evaluation.method.code_sha256", lambda: "newer")
    with pytest.raises(OtherScoresError, match="holds scores of another code"):
        scored(Darker())


def test_what_a_killed_run_left_is_removed(scored: Callable[..., Scores], tmp_path: Path) -> None:
    scored(Darker())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = [tmp_path / "out" / name for name in ("", "pictures")]
    for folder in left:
        (folder / f"{signature_of(process.pid)}00.tmp.png").touch()
    scored(Darker())
    assert not [path for folder in left for path in folder.glob("*.tmp*")]


def test_a_pair_has_one_score_as_it_has_one_picture(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    """Other data, then the first again: its scores must not stand over the other's pictures."""
    first = scored(Darker())
    shutil.copytree(tmp_path / "data", tmp_path / "kept")
    target = tmp_path / "data" / "input" / "1.png"
    before = target.stat()
    pixels = read_photo(target).pixels
    write_photo(Photo(pixels=pixels // 2), target)
    scored(Darker())
    shutil.copyfile(tmp_path / "kept" / "input" / "1.png", target)
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    third = Darker()
    assert [pair.scores for pair in scored(third).pairs] == [pair.scores for pair in first.pairs]
    assert third.seen == ["1"]


def test_a_file_that_changes_while_it_is_scored_is_scored_again(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    class Changing(Darker):
        def restore(self, pair: Pair, views: Tensor) -> Tensor:
            if pair.id == "1":
                write_photo(
                    Photo(pixels=random_pixels((20, 24, 3), seed=9)),
                    tmp_path / "data" / "input" / "1.png",
                )
            return super().restore(pair, views)

    scored(Changing())
    again = Darker()
    scored(again)
    assert again.seen == ["1"]


@pytest.mark.parametrize("error", [MemoryError(), IndexError("out"), TypeError("of it")])
def test_whatever_a_method_raises_stops_no_other_pair(
    error: Exception, scored: Callable[..., Scores]
) -> None:
    class Failing(Darker):
        def restore(self, pair: Pair, views: Tensor) -> Tensor:
            if pair.id == "1":
                raise error
            return super().restore(pair, views)

    found = scored(Failing())
    assert [pair.id for pair in found.pairs] == ["0", "2", "3"]
    assert (str(error) or "MemoryError") in found.faults[0].why


def test_no_pairs_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^x: holds no pairs to score$"):
        run(Darker().method(), (), PROTOCOLS["photo"], data=DATA, folder=tmp_path)


def test_a_name_that_is_no_utf_8_is_a_fault_of_its_pair(tmp_path: Path) -> None:
    for name in ("a", "\udcff\udcfe"):
        try:
            put_pair(tmp_path / "data", name, random_pixels((20, 24, 3)), 5)
        except (OSError, UnicodeError, PhotoError):
            pytest.skip("this system has no such names")
    pairs = find_pairs(tmp_path / "data")
    found = run(Darker().method(), pairs, PROTOCOLS["photo"], data=DATA, folder=tmp_path / "out")
    assert [pair.id for pair in found.pairs] == ["a"]
    assert "its name is not UTF-8; rename it" in found.faults[0].why
    assert read_scores(tmp_path / "out" / "score.json").faults == found.faults


def test_two_programs_pictures_of_one_name_are_not_mixed(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    pairs = find_pairs(tmp_path / "data")
    for program in ("a", "b"):
        shutil.copytree(tmp_path / "data" / "input", tmp_path / program / "output")
    methods = [by_pictures(tmp_path / program / "output") for program in ("a", "b")]
    kind: dict[str, Any] = {"data": DATA, "folder": tmp_path / "out"}
    run(methods[0], pairs, PROTOCOLS["photo"], **kind)
    with pytest.raises(DataError, match="holds scores of another method"):
        run(methods[1], pairs, PROTOCOLS["photo"], **kind)


@pytest.mark.parametrize(
    ("place", "called"), [("/none", "none"), ("/none/b", "none-b"), ("/a/none/b", "none-b")]
)
def test_a_folder_at_the_root_has_its_own_name_alone(place: str, called: str) -> None:
    assert place_name(Path(place)) == called


@pytest.mark.parametrize("name", ["input", "target"])
def test_pictures_are_not_called_as_the_page_calls_the_pairs(
    name: str, scored: Callable[..., Scores], tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "data" / "input", tmp_path / "other" / name)
    assert by_pictures(tmp_path / "other" / name).name == f"other-{name}"


def test_a_link_to_nowhere_among_the_pictures_is_a_fault_of_its_pair(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "data" / "input", tmp_path / "theirs")
    (tmp_path / "theirs" / "1.png").unlink()
    (tmp_path / "theirs" / "1.png").symlink_to(tmp_path / "nowhere.png")
    pairs = find_pairs(tmp_path / "data")
    found = run(by_pictures(tmp_path / "theirs"), pairs, PROTOCOLS["photo"], data=DATA)
    assert len(found.pairs) == 3


def test_scores_of_other_weights_are_not_mixed(
    scored: Callable[..., Scores], tmp_path: Path
) -> None:
    def network(seed: int) -> Method:
        torch.manual_seed(seed)
        path = tmp_path / "mine.safetensors"
        save_model(MIRNetV2(TINY), path)
        restorer = Restorer(load_checkpoint(path).build(), device="cpu", runtime="torch")
        return by_network(restorer, path)

    pairs = find_pairs(tmp_path / "data")
    kind: dict[str, Any] = {"data": DATA, "folder": tmp_path / "out"}
    run(network(0), pairs, PROTOCOLS["photo"], **kind)
    run(network(0), pairs, PROTOCOLS["photo"], **kind)
    with pytest.raises(OtherScoresError, match="holds scores of another method"):
        run(network(1), pairs, PROTOCOLS["photo"], **kind)


def test_a_restored_picture_is_as_deep_as_the_deepest_of_its_pair(tmp_path: Path) -> None:
    for part, pixels in (
        ("input", random_pixels((20, 24, 3))),
        ("target", random_pixels((20, 24, 3), dtype=np.uint16)),
    ):
        publishers.put(tmp_path / "data" / part / "0.png", pixels)
    pairs = find_pairs(tmp_path / "data")
    run(Darker().method(), pairs, PROTOCOLS["photo"], data=DATA, folder=tmp_path / "out")
    assert read_photo(picture_path(tmp_path / "out", "0")).pixels.dtype == np.uint16
