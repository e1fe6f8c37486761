import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from mirnet.checkpoints import catalog
from mirnet.checkpoints.catalog import CATALOG
from mirnet.checkpoints.convert import write_released
from mirnet.checkpoints.hub import fetch
from mirnet.checkpoints.store import read_checkpoint
from mirnet.cli.app import main
from mirnet.environment import file_sha256
from mirnet.imaging.io import read_photo
from tests.conftest import random_pixels
from tests.evaluation.conftest import put_pair
from tests.hub import Hub

ADDRESS = "hf://me/denoiser"


def run(*arguments: object) -> int:
    return main(["weights", *map(str, arguments)])


def error_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(*arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("mirnet: ")
    return lines[0]


@pytest.fixture
def content(hub: Hub, tiny_weights: Path) -> bytes:
    content = tiny_weights.read_bytes()
    hub.add("me/denoiser", {"tiny.safetensors": content})
    return content


def test_pull_prints_the_place_and_the_hash_and_mends(
    content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run("pull", ADDRESS) == 0
        place, line = capsys.readouterr().out.splitlines()
        assert Path(place).read_bytes() == content
        assert line == f"sha256 {hashlib.sha256(content).hexdigest()}"
        Path(place).resolve().write_bytes(content[:-1] + b"?")


def test_restore_takes_weights_of_a_hub(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_pair(tmp_path / "pairs", "a", random_pixels((16, 16, 3)), 3)
    photo = tmp_path / "pairs" / "input" / "a.png"
    options = ["restore", str(photo), "-o", str(tmp_path / "out"), "--weights", ADDRESS]
    assert main(options) == 0
    assert f"weights: {fetch(ADDRESS).path} (denoising)" in capsys.readouterr().err
    assert read_photo(tmp_path / "out" / "a.png").pixels.shape == (16, 16, 3)
    fetch(ADDRESS).path.resolve().write_bytes(content[:-1] + b"?")
    assert main(options) == 1
    assert f"mirnet: {ADDRESS}: " in capsys.readouterr().err


def test_push_makes_a_card_that_the_hub_reads_with_the_scores(
    hub: Hub, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_pair(tmp_path / "pairs", "a", random_pixels((16, 16, 3)), 3)
    scored = ["evaluate", str(tmp_path / "pairs"), "--weights", str(tiny_weights)]
    assert main([*scored, "-o", str(tmp_path / "scores")]) == 0
    (score,) = (tmp_path / "scores").glob("*/tiny/score.json")
    capsys.readouterr()
    assert run("push", tiny_weights, ADDRESS, "--licence", "mit", "--scores", score) == 0
    assert capsys.readouterr().out.startswith(f"{hub.url}/me/denoiser/commit/")
    assert hub.file("me/denoiser", "tiny.safetensors") == tiny_weights.read_bytes()
    card: Any = ModelCard(hub.file("me/denoiser", "README.md").decode())
    assert card.data.license == "mit"
    assert card.data.pipeline_tag == "image-to-image"
    assert {each.metric_type for each in card.data.eval_results} == {"psnr", "ssim"}
    assert f"mirnet restore photo.jpg --weights {ADDRESS}" in card.text


def test_push_takes_the_card_of_what_ships(hub: Hub) -> None:
    entry = CATALOG["low-light-small"]
    assert run("push", entry.name, "hf://me/dark") == 0
    assert fetch("hf://me/dark").sha256 == entry.sha256
    card: Any = ModelCard(hub.file("me/dark", "README.md").decode())
    assert card.data.license == "apache-2.0"
    assert card.text.strip() == entry.card.read_text("utf-8").strip()


def test_push_refuses_before_anything_is_sent(
    hub: Hub, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--licence: say under which" in error_of(capsys, "push", tiny_weights, ADDRESS)
    mine = (tiny_weights, ADDRESS, "--licence", "mit")
    assert "there is no such file" in error_of(capsys, "push", *mine, "--scores", "gone.json")
    assert "is no address" in error_of(capsys, "push", tiny_weights, "me/denoiser")
    write_released(read_checkpoint(tiny_weights), tmp_path / "old.pth")
    assert "`mirnet convert`" in error_of(
        capsys, "push", tmp_path / "old.pth", ADDRESS, "--licence", "mit"
    )
    assert hub.asked == []
    said = error_of(capsys, "push", tiny_weights, ADDRESS, "--licence", "no-such")
    assert '"license" must be one of a list' in said
    assert hub.models["me/denoiser"].commits == {}


def test_verify_names_every_shipped_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CATALOG)
    for line, entry in zip(lines, CATALOG.values(), strict=True):
        assert line == f"{entry.name}: whole, SHA-256 {entry.sha256} ({entry.name})"


def test_verify_refuses_a_flipped_bit_of_a_shipped_file_and_looks_at_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for entry in CATALOG.values():
        (tmp_path / entry.path.name).write_bytes(entry.path.read_bytes())
    changed = tmp_path / "denoising-small.safetensors"
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    assert f"{file_sha256(changed)}, and " in error_of(capsys, "verify", changed)
    monkeypatch.setattr(catalog, "PACKAGED", tmp_path)
    assert "was changed since its release" in error_of(capsys, "verify", "denoising")
    assert run("verify") == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == len(CATALOG) - 1
    assert "was changed since its release" in told.err


def test_verify_holds_a_file_against_what_is_recorded(
    content: bytes, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    assert f"{sha256}, and none is recorded" in error_of(capsys, "verify", tiny_weights)
    assert run("verify", tiny_weights, "--sha256", sha256.upper()) == 0
    assert "is recorded" in error_of(capsys, "verify", tiny_weights, "--sha256", "0" * 64)
    assert "is of one file" in error_of(capsys, "verify", "--sha256", sha256)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(CATALOG["denoising-small"].path.read_bytes())
    assert run("verify", ADDRESS, fetch(ADDRESS).path, copy) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("(denoising-small)")


def test_verify_refuses_a_flipped_bit_of_a_pulled_file(
    content: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fetch(ADDRESS).path
    path.resolve().write_bytes(content[:-1] + b"?")
    assert "the hub recorded" in error_of(capsys, "verify", ADDRESS)
    assert "is recorded" in error_of(capsys, "verify", path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "the hub recorded" in error_of(capsys, "verify", ADDRESS)


def test_the_environment_names_the_hub_and_forbids_the_network(hub: Hub, content: bytes) -> None:
    command = [sys.executable, "-m", "mirnet", "weights", "pull", ADDRESS]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(ran.stdout.splitlines()[0]).read_bytes() == content
    asked = len(hub.asked)
    assert asked > 0
    command[-1] = "hf://me/other"
    began = time.monotonic()
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=offline)
    assert time.monotonic() - began < 20
    assert ran.returncode == 1
    assert ran.stderr == (
        f"mirnet: hf://me/other: is not in the cache, and {hub.url} can't be reached "
        "(HF_HUB_OFFLINE is set); `mirnet weights pull` it where there is a network\n"
    )
    assert len(hub.asked) == asked
