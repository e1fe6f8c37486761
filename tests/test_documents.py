"""What the documents name is there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mirnet.cli.app import app
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.training.reading import read_recipe
from tests.conftest import random_pixels

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "examples").glob("*.md"),
    *(ROOT / "src" / "mirnet" / "weights").glob("*.md"),
]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def test_there_are_documents() -> None:
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md"} <= set(NAMES)


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", path.read_text("utf-8"))
    broken = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_commands_and_the_photos_of_the_repository_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    commands = set(re.findall(r"^(?:.*&& )?mirnet ([a-z-]+)", text, re.MULTILINE))
    assert commands <= set(app)
    named = re.findall(r"\b(?:examples|recipes|benchmarks)/[\w./-]+\w", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_reference_of_recipes_is_what_the_code_says() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "recipe-reference")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == (ROOT / "docs" / "recipes.md").read_text("utf-8")


def test_the_example_of_a_recipe_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "training.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mine.toml").write_text(example, "utf-8")
    recipe = read_recipe(tmp_path / "mine.toml")
    assert [source.weight for source in recipe.data.sources] == [2, 1]


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    noisy = random_pixels((24, 32, 3))
    write_photo(Photo(pixels=noisy), tmp_path / "noisy.jpg")
    text = (ROOT / "README.md").read_text("utf-8")
    names: dict[str, Any] = {"noisy": noisy, "batch": torch.rand(2, 3, 16, 16)}
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(snippet, names)  # noqa: S102 (our own)
    assert read_photo("clean.png").pixels.shape == noisy.shape
    assert names["clean"].shape == (2, 3, 16, 16)
