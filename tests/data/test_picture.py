import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from mirnet.data.mat import Mat73Picture, MatBlock
from mirnet.data.packed import read_packed
from mirnet.data.packing import pack
from mirnet.data.pair import Pair
from mirnet.data.picture import Box, FilePicture, Layout, Picture, Region, digest
from mirnet.errors import DataError
from tests.data.publishers import picture, put

PIXELS = picture(1)
HEIGHT, WIDTH = PIXELS.shape[:2]


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Picture]:
    """The same picture in every place that a picture can lie in."""
    root = tmp_path_factory.mktemp("everywhere")
    file = FilePicture(put(root / "whole.png", PIXELS))
    wide = np.pad(PIXELS, ((3, 5), (7, 2), (0, 0)), mode="edge")
    larger = FilePicture(put(root / "larger.png", wide))
    blocks = np.stack([[picture(0), PIXELS]])
    savemat(root / "blocks.mat", {"blocks": blocks})
    with h5py.File(root / "floats.mat", "w") as array:
        array.create_dataset("photo", data=(PIXELS / 255).transpose(2, 1, 0))
    pairs = [Pair(id="0", views=(), target=larger), Pair(id="1", views=(), target=file)]
    pack(pairs, root / "packed", dataset="clean", split="train")
    packed = read_packed(root / "packed" / "train").pairs[1].target
    assert packed is not None
    return {
        "file": file,
        "box": Box(larger, Region(3, 7, HEIGHT, WIDTH)),
        "block": MatBlock(root / "blocks.mat", "blocks", 0, 1),
        "hdf5": Mat73Picture(root / "floats.mat", "photo"),
        "packed": packed,
    }


PLACES = ("file", "box", "block", "hdf5", "packed")


@pytest.mark.parametrize("place", PLACES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.data())
def test_any_region_is_that_of_the_whole(
    place: str, everywhere: dict[str, Picture], data: st.DataObject
) -> None:
    height = data.draw(st.integers(1, HEIGHT))
    width = data.draw(st.integers(1, WIDTH))
    top = data.draw(st.integers(0, HEIGHT - height))
    left = data.draw(st.integers(0, WIDTH - width))
    region = everywhere[place].pixels(Region(top, left, height, width))
    expected = PIXELS[top : top + height, left : left + width]
    if place == "hdf5":
        assert region.dtype == np.float32
        np.testing.assert_allclose(region, expected / 255, atol=1e-6)
    else:
        assert np.array_equal(region, expected)


@pytest.mark.parametrize("place", PLACES)
def test_layout_and_pickling(place: str, everywhere: dict[str, Picture]) -> None:
    there = everywhere[place]
    dtype = "float32" if place == "hdf5" else "uint8"
    assert there.layout() == Layout(HEIGHT, WIDTH, 3, dtype)
    assert there.layout().nbytes == there.pixels().nbytes
    assert pickle.loads(pickle.dumps(there)) == there  # noqa: S301
    assert there.place


def test_a_digest_is_of_the_content(everywhere: dict[str, Picture]) -> None:
    same = {digest(everywhere[place].pixels()) for place in PLACES if place != "hdf5"}
    assert same == {digest(PIXELS)}
    assert digest(PIXELS[:, ::-1]) != digest(PIXELS)
    assert digest(PIXELS.reshape(WIDTH, HEIGHT, 3)) != digest(PIXELS)
    assert digest(PIXELS.view(np.int8)) != digest(PIXELS)


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", PIXELS)
    file, box = FilePicture(path), Box(FilePicture(path), Region(0, 0, 4, 4))
    before = file.stamp(), box.stamp()
    path.write_bytes(path.read_bytes() + b" ")
    assert file.stamp() != before[0]
    assert box.stamp() != before[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is missing; fetch it"),
        (b"", "is no MATLAB 5 file, or damaged"),
        (b"nothing of the kind" * 20, "is no MATLAB 5 file, or damaged"),
        ({"other": np.zeros((2, 2))}, "holds no array blocks of scenes"),
        ({"blocks": np.zeros((1, 1, 2, 2, 3))}, "holds no array blocks of scenes"),
    ],
)
def test_a_wrong_file_of_version_5_is_named(
    tmp_path: Path, content: bytes | dict[str, object] | None, words: str
) -> None:
    path = tmp_path / "blocks.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        savemat(path, content)
    with pytest.raises(DataError, match=words):
        MatBlock(path, "blocks", 0, 0).pixels()


def test_a_cut_file_of_version_5_is_named(tmp_path: Path) -> None:
    path = tmp_path / "blocks.mat"
    savemat(path, {"blocks": np.stack([[PIXELS]])}, do_compression=True)
    whole = path.read_bytes()
    for end in range(130, len(whole), len(whole) // 12):
        cut = tmp_path / f"{end}.mat"
        cut.write_bytes(whole[:end])
        with pytest.raises(DataError, match=str(cut)):
            MatBlock(cut, "blocks", 0, 0).pixels()


def test_a_wrong_file_of_version_73_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with pytest.raises(DataError, match="is missing; fetch it"):
        Mat73Picture(path, "photo").layout()
    path.write_bytes(b"no HDF5")
    with pytest.raises(DataError, match=r"is no MATLAB 7\.3 file, or damaged"):
        Mat73Picture(path, "photo").layout()
    with h5py.File(path, "w") as file:
        file.create_dataset("photo", data=np.zeros((4, 4)))
    with pytest.raises(DataError, match="holds no H×W×3 array photo"):
        Mat73Picture(path, "photo").layout()
