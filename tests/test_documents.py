"""What the documents name is there."""

import re
from pathlib import Path

import pytest

from mirnet.cli.app import app

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
    commands = set(re.findall(r"^(?:.*&& )?mirnet ([a-z]+)", text, re.MULTILINE))
    assert commands <= set(app)
    named = re.findall(r"\b(?:examples|recipes|benchmarks)/[\w./-]+\w", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
