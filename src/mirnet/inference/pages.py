"""Folders of web servers: the pages that list them, and where their links lead."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from mirnet.errors import PhotoError
from mirnet.inference.places import Address

LARGEST = 16 << 20
"""Bytes of a page; a folder of 100,000 files has about as many."""
PIECE = 1 << 16


def entries_of(folder: Address, store: Any, here: str) -> list[dict[str, Any]]:
    """What a page links to that lies in its folder, as a store lists it.

    Args:
        folder: what was asked for, for messages.
        store: fsspec's client of HTTP.
        here: the address of the page, without the slash at its end.

    Raises:
        PhotoError: the page has no end. FileNotFoundError: there is none.
    """
    page = f"{here}/"
    addresses = (urldefrag(urljoin(page, link)).url for link in _links(_text(folder, store, page)))
    return [
        {"name": address.rstrip("/"), "type": "directory", "size": None}
        if urlsplit(address).path.endswith("/")
        else {"name": address, "type": "file", "size": None}
        for address in dict.fromkeys(addresses)
        if address.startswith(page) and address.partition("?")[0] != page
    ]


def _text(folder: Address, store: Any, page: str) -> str:
    content = bytearray()
    # A size that is told spares a request for it.
    with store.open(page, "rb", block_size=0, size=LARGEST) as source:
        while part := source.read(PIECE):
            content += part
            if len(content) > LARGEST:
                raise PhotoError(
                    f"{folder}: has a page of more than {LARGEST >> 20} MiB; name its photos in a "
                    "list (--from-file)"
                )
    return content.decode("utf-8", "replace")


def _links(text: str) -> list[str]:
    parser = _Parser()
    parser.feed(text)
    parser.close()
    return parser.links


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [
            value.strip() for name, value in attrs if (tag, name) == ("a", "href") and value
        ]
