"""Photos of a store that speaks S3, restored by the workers of a Ray cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mirnet.atomic import signature
from mirnet.cli.app import main
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.cluster.session import SETTINGS
from mirnet.inference.ledger import NAME
from tests import s3
from tests.conftest import random_pixels

pytestmark = pytest.mark.skipif(
    any(find_spec(package) is None for package in ("ray", "moto", "s3fs", "flask_cors")),
    reason="Ray, moto or s3fs is not installed",
)


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """What tells clients of a store on this machine, set in this process and its children."""
    with s3.running() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield environment


@pytest.fixture(scope="module")
def address(store: Mapping[str, str]) -> Iterator[str]:
    """Of a cluster of one node, which knows the store."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        few: dict[str, Any] = {"include_dashboard": False, "include_log_monitor": False}
        cluster = Cluster()
        try:
            cluster.add_node(num_cpus=1, object_store_memory=80 << 20, **few)
            yield cluster.address
        finally:
            cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Four photos in two levels, of which one is cut, and what is no photo."""
    folder = tmp_path / "shots"
    (folder / "evening").mkdir(parents=True)
    for i, name in enumerate(("00.png", "01.jpg", "evening/02.png")):
        write_photo(Photo(pixels=random_pixels((12, 16, 3), seed=i)), folder / name)
    (folder / "03.png").write_bytes((folder / "00.png").read_bytes()[:300])
    (folder / "note.txt").write_text("no photo")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in found}


def without_ledger(contents: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in contents.items() if name != NAME}


def temporary() -> list[Path]:
    """Files that a worker of this machine left where it downloads to."""
    begin = "-".join(signature().split("-")[:2])
    return list(Path(tempfile.gettempdir()).glob(f"{begin}-*.tmp*"))


def test_a_store_gives_and_takes_what_folders_do(
    store: Mapping[str, str],
    address: str,
    shots: Path,
    tiny_weights: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, content in files(shots).items():
        s3.put(store, f"in/{name}", content)
    weights, before, here = ["--weights", str(tiny_weights)], temporary(), tmp_path / "here"
    assert main(["restore", str(shots), "-o", str(here), *weights]) == 1
    capfd.readouterr()

    arguments = ["restore", "s3://photos/in/", "-o", "s3://photos/out", *weights]
    arguments += ["--engine", "ray", "--address", address]
    assert main(arguments) == 1
    told = capfd.readouterr().err
    assert "3 restored, 1 failed:\n  s3://photos/in/03.png: " in told
    there = s3.contents(store, "out")
    assert sorted(there) == [NAME, "00.png", "01.jpg", "evening/02.png"]
    assert without_ledger(there) == without_ledger(files(here))
    assert temporary() == before

    assert main(arguments) == 1  # the one that is cut, again
    again = capfd.readouterr().err
    assert "0 restored, 3 already done" in again
    told += again

    s3.put(store, "in/00.png", (shots / "evening" / "02.png").read_bytes())
    s3.put(store, "in/03.png", b"")
    assert main(arguments) == 1
    again = capfd.readouterr().err
    assert "s3://photos/in/00.png: s3://photos/out/00.png was made from what this photo" in again
    ledger = there[NAME].decode()
    assert '"source": "s3://photos/in/evening/02.png"' in ledger
    assert s3.SECRET not in told + again + ledger


def test_a_list_of_addresses_is_restored_and_what_is_not_there_is_named(
    store: Mapping[str, str],
    address: str,
    shots: Path,
    tiny_weights: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("00.png", "evening/02.png"):
        s3.put(store, f"listed/{name}", (shots / name).read_bytes())
    names = ("00.png", "evening/02.png", "gone.png")
    listing, output = tmp_path / "list.txt", tmp_path / "out"
    listing.write_text("".join(f"s3://photos/listed/{name}\n" for name in names))
    arguments = ["--from-file", str(listing), "-o", str(output), "--weights", str(tiny_weights)]
    assert main(["restore", *arguments, "--engine", "ray", "--address", address]) == 1
    assert (
        "2 restored, 1 failed:\n  s3://photos/listed/gone.png: there is no such photo or folder\n"
    ) in capfd.readouterr().err
    assert sorted(without_ledger(files(output))) == ["00.png", "evening/02.png"]


def test_a_bucket_that_is_not_there_is_one_line(
    store: Mapping[str, str],
    address: str,
    shots: Path,
    tiny_weights: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = [str(shots), "-o", "s3://no-such-bucket/out", "--weights", str(tiny_weights)]
    assert main(["restore", *arguments, "--engine", "ray", "--address", address]) == 1
    error = capfd.readouterr().err
    assert "s3://no-such-bucket/out/.mirnet-results.jsonl: " in error
    assert "Traceback" not in error
