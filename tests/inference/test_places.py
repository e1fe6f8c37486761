from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from mirnet.errors import PhotoError
from mirnet.inference.places import Address, identity, is_address, is_within, placed


def test_what_is_an_address() -> None:
    assert placed("s3://bucket/a b.jpg") == Address("s3://bucket/a b.jpg")
    assert placed("S3://bucket/folder//") == Address("s3://bucket/folder")
    assert placed("s3://arn:aws:s3:eu:1:accesspoint/x/a.jpg").suffix == ".jpg"
    for text in ("a.jpg", "/a/b.jpg", "a:b/c.jpg", "C:\\a.jpg", "s3:bucket"):
        assert placed(text) == Path(text)
        assert not is_address(text)
    assert is_address(str(Path("s3://bucket/a.jpg")))
    photo = placed("s3://bucket/in/a.tar.jpg")
    assert isinstance(photo, Address)
    assert (photo.name, photo.suffix, photo.parent) == (
        "a.tar.jpg", ".jpg", Address("s3://bucket/in"),
    )  # fmt: skip
    assert photo.parent / PurePath("b/c.png") == Address("s3://bucket/in/b/c.png")


@pytest.mark.parametrize(
    "text",
    ["ftp://me:hush@host/a.jpg", "https://hush@host/a.jpg", "s3://me:hush/a.jpg"],
)
def test_an_address_with_a_password_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(PhotoError, match="must hold no name and no password") as raised:
        placed(text)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("text", ["memory://a/b.jpg", "zip://a.jpg::s3://bucket/a.zip"])
def test_what_other_processes_do_not_reach_is_refused(text: str) -> None:
    with pytest.raises(PhotoError, match="can't be reached from other processes"):
        placed(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("simplecache::https://me:hush@host/a.jpg", "is no address of a store"),
        (" https://me:hush@host/a.jpg", "is no address of a store"),
        ("s3:/hush/out", "is no address of a store"),
        ("file://hush/in", "this one's files are file:///…"),
        ("ftp://[::1]/hush", "has an address of IPv6 for a host; give its name"),
        ("abfss://me:hush@host/a", "must hold no name and no password"),
    ],
)
def test_what_is_not_quite_an_address_is_refused_without_showing_it(text: str, says: str) -> None:
    with pytest.raises(PhotoError, match=says) as raised:
        placed(text)
    assert "hush" not in str(raised.value)


def test_an_address_is_kept_as_it_was_written() -> None:
    for text in (
        "abfss://photos@account.dfs.core.windows.net/in",
        "https://host/a.jpg?signature=ab/",
        "file:///folder",
    ):
        place = placed(text)
        assert isinstance(place, Address)
        assert place.text == text
    assert str(placed("https://host/in/?a=b/")) == "https://host/in"


@pytest.mark.parametrize("text", ["http://[::1]:8000/a.jpg", "s3://bucket/a::b.jpg"])
def test_two_colons_are_no_more_than_that(text: str) -> None:
    place = placed(text)
    assert isinstance(place, Address)
    assert place.text == text


def test_what_lies_in_a_folder_is_told_through_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert identity(tmp_path / "link" / "a.jpg") == identity(tmp_path / "real" / "a.jpg")
    assert is_within(tmp_path / "link" / "a.jpg", tmp_path / "real")
    assert not is_within(tmp_path / "real-one", tmp_path / "real")
    assert not is_within(tmp_path, tmp_path / "real")
    assert is_within(Address("s3://b/in/a.jpg"), Address("s3://b/in"))
    assert not is_within(Address("s3://b/inner"), Address("s3://b/in"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("file:///a/b.png", "/a/b.png"),
        ("file:////a/b.png", "local:///a/b.png"),
        ("s3a://photos/in", "s3://photos/in"),
        ("gcs://photos/in", "gs://photos/in"),
        ("ssh://host:22/in", "sftp://host/in"),
        ("ftp://host:21", "ftp://host"),
    ],
)
def test_two_spellings_are_one_place(one: str, other: str) -> None:
    assert identity(placed(one)) == identity(placed(other))
    assert is_within(placed(one), placed(other))


def test_an_address_with_dots_is_refused() -> None:
    for text in ("file:///a/x/../in", "s3://photos/./in"):
        with pytest.raises(PhotoError, match=r"has \. or \.\. in it"):
            placed(text)
    assert isinstance(placed("http://host/a..b/c.png?x=../"), Address)
