from pathlib import Path

import numpy as np
import pytest

from mirnet.errors import DataError
from mirnet.evaluation.scores import Fault, PairScore, Scores, read_scores


def pair(name: str, psnr: float, group: str | None = None) -> PairScore:
    return PairScore(
        id=name,
        group=group,
        scores={"psnr": psnr},
        input={"psnr": psnr - 1},
        digests=("a", name),
        seconds=0.5,
    )


def scores(*pairs: PairScore) -> Scores:
    return Scores(
        method={"name": "m", "kind": "network"},
        protocol={"name": "photo", "version": 1},
        data={"label": "d"},
        pairs=pairs,
        faults=(Fault(id="z", why="broken"),),
        made={"at": "now"},
    )


def test_groups_have_means_of_their_own() -> None:
    every = scores(pair("a", 10, "in"), pair("b", 20, "out"), pair("c", 40, "in"))
    assert every.groups == ("in", "out")
    assert every.means("in") == {"psnr": 25}
    assert every.means() == {"psnr": pytest.approx(70 / 3)}
    assert every.input_means("out") == {"psnr": 19}


def test_infinite_scores_are_written_as_json_and_come_back(tmp_path: Path) -> None:
    before = scores(pair("a", np.inf), pair("b", 1 / 3))
    before.write(tmp_path)
    text = (tmp_path / "score.json").read_text("utf-8")
    assert "Infinity" not in text
    after = read_scores(tmp_path / "score.json")
    assert after.pairs == before.pairs
    assert after.faults == before.faults
    assert after.data_sha256 == before.data_sha256


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "scores": 3}'])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "score.json"
    path.write_text(damage)
    with pytest.raises(DataError, match=r"score\.json: is no score\.json"):
        read_scores(path)


def test_a_newer_or_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "score.json"
    with pytest.raises(DataError, match="there is no such file"):
        read_scores(path)
    path.write_text('{"format": 99}')
    with pytest.raises(DataError, match="newer mirnet"):
        read_scores(path)
