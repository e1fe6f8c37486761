"""check-data and prepare, as a person types them."""

import hashlib
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mirnet.cli.app import main
from mirnet.data.sources import find_pairs
from tests.data import publishers
from tests.data.publishers import picture, put, worse


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    for number in range(3):
        put(tmp_path / "mine" / "train" / "target" / f"{number}.png", picture(number))
        put(tmp_path / "mine" / "train" / "input" / f"{number}.png", worse(picture(number), 0))
    return tmp_path / "mine"


def test_check_data_says_sound_or_what_is_wrong(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-data", "pairs", str(mine)]) == 0
    assert capsys.readouterr().out == "train: 3 pairs\npairs of your own: sound\n"
    broken = mine / "train" / "input" / "1.png"
    broken.write_bytes(b"")
    assert main(["check-data", "pairs", str(mine)]) == 1
    out = capsys.readouterr().out
    assert f"wrong  {broken}: " in out
    assert "input,target" in out


def test_check_data_takes_a_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publishers.lol(tmp_path)
    assert main(["check-data", "lol", str(tmp_path), "--split", "test"]) == 1
    out = capsys.readouterr().out
    assert "test has 2 pairs, LoL is published with 15" in out
    assert "our485" not in out.splitlines()[0]


def test_prepare_packs_what_can_be_read(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "packed"
    command = ["prepare", "pairs", str(mine), "-o", str(packed)]
    assert main(command) == 0
    assert "train: 3 pairs, 0.00 GB in" in capsys.readouterr().out
    for was, now in zip(
        find_pairs(mine, "pairs", "train"), find_pairs(packed, "pairs", "train"), strict=True
    ):
        for one, other in zip(was.pictures(), now.pictures(), strict=True):
            assert np.array_equal(one.pixels(), other.pixels())
    assert main(command) == 0
    (mine / "train" / "input" / "1.png").write_bytes(b"")
    assert main(command) == 1
    assert "holds other pictures, or older ones; remove it" in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path / "again")]) == 1
    assert "left out 1: " in capsys.readouterr().err


def test_a_part_without_pairs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publishers.fivek(tmp_path / "FK")
    for path in (tmp_path / "FK").rglob("*.png"):
        if path.name < "a4501":
            path.unlink()
    command = ["prepare", "fivek", str(tmp_path / "FK"), "-o", str(tmp_path / "packed")]
    assert main(command) == 1
    assert "train: has no pairs to pack; name the parts that have" in capsys.readouterr().err
    assert not (tmp_path / "packed").exists()
    assert main([*command, "--split", "test"]) == 0


def test_prepare_fetches_and_unpacks_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publishers.lol(tmp_path / "site" / "LOL")
    site = tmp_path / "site"
    archive = Path(shutil.make_archive(str(site / "LOL data"), "zip", site / "LOL"))
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    handler = partial(QuietServer, directory=str(site))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/LOL%20data.zip"
    command = ["prepare", "lol", str(tmp_path / "LOL"), "-o", str(tmp_path / "packed")]
    try:
        assert main([*command, "--fetch", url, "--sha256", "0" * 64]) == 1
        assert f"has SHA-256 {sha256}, not {'0' * 64}" in capsys.readouterr().err
        assert main([*command, "--fetch", url, "--sha256", sha256]) == 0
    finally:
        server.shutdown()
        server.server_close()
    assert f"SHA-256 {sha256}\n" in capsys.readouterr().out
    assert len(find_pairs(tmp_path / "packed", "lol", "test")) == 2
    assert main([*command, "--fetch", url, "--sha256", sha256]) == 0  # nothing is asked for again
    assert main([*command, "--fetch", url, "--sha256", "1", "--sha256", "2"]) == 1
    assert "2 sums for 1 files; give one for each" in capsys.readouterr().err
    assert main([*command, "--fetch", "http://127.0.0.1:9/"]) == 1
    assert "names no file" in capsys.readouterr().err


class QuietServer(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_folder_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "lol", str(tmp_path / "no"), "-o", str(tmp_path / "p")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["check-data", "lol", str(tmp_path / "no")]) == 1
    assert "there is no such folder" in capsys.readouterr().out
