import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet.errors import DataError
from mirnet.evaluation.scores import Fault, PairScore, Scores, read_scores
from mirnet.metrics.protocol import PROTOCOLS
from mirnet.tasks.evaluation import described


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
        method={
            "name": "m",
            "kind": "network",
            "weights": "f00d",
            "device": "cpu",
            "precision": "float32",
        },
        protocol=asdict(PROTOCOLS["photo"]),
        data=described("d", Path("d")),
        pairs=pairs,
        faults=(Fault(id="z", why="broken"),),
        made={"at": "now", "code_sha256": "c0de", "versions": {"torch": "2"}, "seconds": 1.0},
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


def test_what_no_run_writes_is_damaged(tmp_path: Path) -> None:
    scores(pair("a", 20, "in"), pair("b", 30, "in"), pair("c", np.inf)).write(tmp_path)
    path = tmp_path / "score.json"
    sound = path.read_text()
    read_scores(path)

    def damage(change: Callable[[Any], None]) -> None:
        found = json.loads(sound)
        change(found)
        path.write_text(json.dumps(found))
        with pytest.raises(DataError, match=r"score\.json: is no score\.json .*, or damaged$"):
            read_scores(path)

    damage(lambda found: found["scores"].clear())
    damage(lambda found: found["scores"].append(found["scores"][0]))
    damage(lambda found: found["scores"][1]["scores"].clear())
    damage(lambda found: found["scores"][1]["scores"].update(psnr="nan"))
    damage(lambda found: found["method"].pop("name"))
    damage(lambda found: found["protocol"].pop("version"))
    damage(lambda found: found.update(protocol="photo"))
    damage(lambda found: found["made"].pop("at"))
    damage(lambda found: found["made"].pop("versions"))
    damage(lambda found: found["method"].pop("weights"))
    damage(lambda found: found["method"].update(kind="baseline"))
    damage(lambda found: found["data"].pop("whole"))
    damage(lambda found: found["protocol"].pop("crop"))
    damage(lambda found: found["means"].update(psnr=31))
    damage(lambda found: found["scores"][2]["scores"].update(psnr=40))
    damage(lambda found: found["input_means"].update(psnr=19.1))
    damage(lambda found: found["groups"]["in"].update(psnr=25.001))
    damage(lambda found: found["groups"].clear())
    damage(lambda found: found.pop("means"))


def test_the_last_bits_of_a_mean_may_be_another_machine_s(tmp_path: Path) -> None:
    scores(pair("a", 1 / 3), pair("b", 20)).write(tmp_path)
    path = tmp_path / "score.json"
    found = json.loads(path.read_text())
    found["means"]["psnr"] *= 1 + 1e-14
    path.write_text(json.dumps(found))
    read_scores(path)


def test_a_folder_is_not_its_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder; name the score\.json in it"):
        read_scores(tmp_path)
