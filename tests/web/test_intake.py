import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData, UploadFile

from mirnet.errors import MirnetError, PhotoError
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.web.intake import LONGEST_NAME, TooLargeError, accepted, photo_name
from mirnet.web.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "phone-night.png"


def form(content: bytes, name: str = "a.png", **fields: str) -> FormData:
    return FormData([("photo", UploadFile(io.BytesIO(content), filename=name)), *fields.items()])


@given(st.text())
def test_a_name_is_one_printable_name(told: str) -> None:
    name = photo_name(told)
    assert 0 < len(name) <= LONGEST_NAME
    assert name.isprintable()
    assert not set("/\\") & set(name)
    assert name not in (".", "..")


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\IMG 1.jpg", "IMG 1.jpg"),
        ("a\0b\n.png", "ab.png"),
        ("x" * 300 + ".tif", "x" * (LONGEST_NAME - 4) + ".tif"),
        ("..", "photo"),
        ("", "photo"),
    ],
)
def test_names(told: str, name: str) -> None:
    assert photo_name(told) == name


def test_an_accepted_photo_lies_under_our_names(tmp_path: Path) -> None:
    content = EXAMPLE.read_bytes()
    job = accepted(
        form(content, "../up/Ü 1.PNG", format="jpg", visible="0,0,900,900"), Settings(), tmp_path
    )
    assert job.name == "Ü 1.PNG"
    assert job.result_name == "Ü 1.jpg"
    assert job.errand.source.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [job.folder.name]
    assert job.errand.source.name == "photo.png"
    assert job.errand.box
    assert (job.errand.box.width, job.errand.box.height) == (512, 512)
    assert job.task == "denoising"


def test_what_a_photo_is_shown_as_is_decided_by_its_content(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    write_photo(Photo(pixels=pixels), tmp_path / "a.tif")
    job = accepted(form((tmp_path / "a.tif").read_bytes(), "a.png"), Settings(), tmp_path)
    assert job.before.name == "before.png"
    assert accepted(form(EXAMPLE.read_bytes()), Settings(), tmp_path).before.name == "photo.png"


def test_the_right_view_is_named_by_its_own_name(tmp_path: Path) -> None:
    left = form(EXAMPLE.read_bytes(), "IMG_L.png", task="dual-pixel-deblurring")
    right = ("right", UploadFile(io.BytesIO(b"text"), filename="IMG_R.png"))
    with pytest.raises(PhotoError, match=r"^IMG_R\.png: is no PNG"):
        accepted(FormData([*left.multi_items(), right]), Settings(), tmp_path)


def test_two_views_give_a_result_of_the_command_lines_name(tmp_path: Path) -> None:
    right = ("right", UploadFile(io.BytesIO(EXAMPLE.read_bytes()), filename="IMG_R.png"))
    left = form(EXAMPLE.read_bytes(), "IMG_L.png", task="dual-pixel-deblurring", format="tif")
    job = accepted(FormData([*left.multi_items(), right]), Settings(), tmp_path)
    assert (job.name, job.result_name) == ("IMG_L.png", "IMG.tif")
    assert job.errand.right
    assert job.errand.right.read_bytes() == EXAMPLE.read_bytes()


@pytest.mark.parametrize(
    ("content", "name", "fields", "error", "says"),
    [
        (b"text", "a.png", {}, PhotoError, "a.png: is no PNG, JPEG"),
        (b"", "a.png", {}, PhotoError, "a.png: is empty"),
        (None, "a.bmp", {}, PhotoError, "a.bmp: can't be written as .bmp"),
        (None, "a.png", {"weights": "/etc/passwd"}, MirnetError, "weights: must be one of"),
        (None, "a.png", {"weights": "hf://a/b"}, MirnetError, "weights: must be one of"),
        (None, "a.png", {"enlarge": "2"}, MirnetError, "--enlarge: denoising-small is "),
        (
            None,
            "a.png",
            {"task": "low-light", "weights": "denoising-small"},
            MirnetError,
            "--task low-light: denoising-small is for denoising",
        ),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    content: bytes | None,
    name: str,
    fields: dict[str, str],
    error: type[MirnetError],
    says: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=says) as caught:
        accepted(form(EXAMPLE.read_bytes() if content is None else content, name, **fields),
                 Settings(), tmp_path)  # fmt: skip
    assert str(tmp_path) not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_pixels_are_counted_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match=r"a\.png: is 512×512 pixels; .* takes 0\.2 megapixels"):
        accepted(form(EXAMPLE.read_bytes()), Settings(max_pixels=200_000), tmp_path)
    small = Settings(max_pixels=300_000)
    with pytest.raises(TooLargeError, match="2 times as large a side"):
        accepted(form(EXAMPLE.read_bytes(), task="super-resolution", enlarge="2"), small, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_form_without_a_photo_says_so(tmp_path: Path) -> None:
    with pytest.raises(MirnetError, match="photo: is missing"):
        accepted(FormData([("task", "denoising")]), Settings(), tmp_path)
    with pytest.raises(MirnetError, match="picture: is no file that is asked for"):
        accepted(
            FormData([("picture", UploadFile(io.BytesIO(b"x"), filename="x"))]),
            Settings(), tmp_path,
        )  # fmt: skip
    with pytest.raises(MirnetError, match="photo: is a text; send the file itself"):
        accepted(FormData([("photo", "x")]), Settings(), tmp_path)
    with pytest.raises(MirnetError, match="task: is given twice"):
        accepted(FormData([("task", "denoising"), ("task", "low-light")]), Settings(), tmp_path)
    right = ("right", UploadFile(io.BytesIO(b"x"), filename="x.png"))
    with pytest.raises(MirnetError, match="right: is a second view"):
        accepted(FormData([*form(b"x").multi_items(), right]), Settings(), tmp_path)
