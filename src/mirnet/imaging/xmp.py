"""XMP packets: made true for a restored photo, and the large ones of JPEG."""

from __future__ import annotations

import re
from xml.dom import minidom
from xml.parsers.expat import ExpatError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NOTE = "http://ns.adobe.com/xmp/note/"

ATTACHMENTS = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": "gain map",
    "http://ns.apple.com/HDRGainMap/1.0/": "gain map",
    "http://ns.google.com/photos/1.0/container/": "attached pictures",
    "http://ns.google.com/photos/1.0/container/item/": "attached pictures",
    "http://ns.google.com/photos/1.0/depthmap/": "depth map",
    "http://ns.google.com/photos/1.0/image/": "second picture",
    "http://ns.google.com/photos/1.0/audio/": "sound",
    "http://ns.google.com/photos/dd/1.0/device/": "depth map",
    "http://ns.adobe.com/xap/1.0/g/img/": "preview",
}
"""Namespaces that describe data beside the picture. The data are not carried, so a description of
them would mislead."""
CAMERA = "http://ns.google.com/photos/1.0/camera/"
MOTION = re.compile(r"Motion|MicroVideo")

MOST_BYTES, MOST_NODES = 2 << 20, 20_000
"""Of a packet that is taken apart."""

_SIZES = (
    rb"(?:tiff:ImageWidth|exif:PixelXDimension)",
    rb"(?:tiff:ImageLength|exif:PixelYDimension)",
)
_ORIENTATION = rb"tiff:Orientation"


def settled(packet: bytes, height: int, width: int) -> bytes:
    """The same XMP for an upright photo of this size, where it names orientation or size."""
    for name, value in ((_ORIENTATION, 1), (_SIZES[0], width), (_SIZES[1], height)):
        pattern = rb"(" + name + rb"""(?:\s*=\s*["']|\s*>))\s*\d+\s*(["']|</)"""
        packet = re.sub(pattern, rb"\g<1>" + str(value).encode() + rb"\g<2>", packet)
    return packet


def without_attachments(packet: bytes) -> tuple[bytes | None, tuple[str, ...]]:
    """The packet without what it says of data beside the picture, and what these were.

    A packet that may say so and can't be parsed is dropped whole: None.
    """
    named = [name for uri, name in ATTACHMENTS.items() if uri.encode() in packet]
    if CAMERA.encode() in packet:
        named.append("video")
    if not named:
        return packet, ()
    try:
        document = _parsed(packet)
        removed: dict[str, None] = {}
        _strip(document, removed)
        return (_written(document) if removed else packet), tuple(removed)
    except (ValueError, RecursionError):
        return None, tuple(dict.fromkeys(named))


def joined(packet: bytes, extension: bytes) -> bytes | None:
    """A JPEG's packet and its extension as one; None if they can't be parsed."""
    try:
        document, extended = _parsed(packet), _parsed(extension)
        targets = document.getElementsByTagNameNS(RDF, "RDF")
        sources = extended.getElementsByTagNameNS(RDF, "RDF")
        if not targets or not sources:
            return None
        for description in list(sources[0].childNodes):
            targets[0].appendChild(document.importNode(description, deep=True))
        for element in document.getElementsByTagNameNS(RDF, "Description"):
            if element.hasAttributeNS(NOTE, "HasExtendedXMP"):
                element.removeAttributeNS(NOTE, "HasExtendedXMP")
        for element in document.getElementsByTagNameNS(NOTE, "HasExtendedXMP"):
            if element.parentNode is not None:
                element.parentNode.removeChild(element)
        return _written(document)
    except (ValueError, RecursionError):
        return None


def pointing_to(extension_digest: str) -> bytes:
    """A packet that says no more than that all stands in the extension with this MD5."""
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" xmlns:xmpNote="{NOTE}" '
        f'xmpNote:HasExtendedXMP="{extension_digest}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _parsed(packet: bytes) -> minidom.Document:
    """The packet as a tree; ValueError if it is none, or one that would cost much."""
    # A document type could define entities that grow without bound; XMP has none.
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise ValueError("XMP has no document type")
    if len(packet) > MOST_BYTES or packet.count(b"<") > MOST_NODES:
        raise ValueError("a packet out of all proportion")
    try:
        return minidom.parseString(packet.strip(b"\0 \t\r\n"))
    except ExpatError as error:
        raise ValueError("not XML") from error


def _written(document: minidom.Document) -> bytes:
    root = document.documentElement
    return b"" if root is None else root.toxml().encode()


def _strip(node: minidom.Document | minidom.Element, removed: dict[str, None]) -> None:
    """Remove what describes attachments, and note what these are."""
    for child in list(node.childNodes):
        if not isinstance(child, minidom.Element):
            continue
        if kind := _attachment(child.namespaceURI, child.localName):
            removed[kind] = None
            node.removeChild(child)
            continue
        for attribute in list(child.attributes.values()):
            if kind := _attachment(attribute.namespaceURI, attribute.localName):
                removed[kind] = None
                child.removeAttributeNode(attribute)
            elif attribute.prefix == "xmlns" and attribute.value in ATTACHMENTS:
                child.removeAttributeNode(attribute)
        _strip(child, removed)


def _attachment(uri: str | None, name: str | None) -> str | None:
    """What an element or attribute describes; None if it is no attachment."""
    if uri == CAMERA and MOTION.match(name or ""):
        return "video"
    return ATTACHMENTS.get(uri or "")
