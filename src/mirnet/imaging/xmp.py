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

    A packet that says so and can't be parsed is dropped whole: None.
    """
    named = [name for uri, name in ATTACHMENTS.items() if uri.encode() in packet]
    if CAMERA.encode() in packet and re.search(rb"Motion|MicroVideo", packet):
        named.append("video")
    if not named:
        return packet, ()
    names = tuple(dict.fromkeys(named))
    document = _parsed(packet)
    if document is None:
        return None, names
    _strip(document)
    return _written(document), names


def joined(packet: bytes, extension: bytes) -> bytes | None:
    """A JPEG's packet and its extension as one; None if they can't be parsed."""
    document, extended = _parsed(packet), _parsed(extension)
    if document is None or extended is None:
        return None
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


def pointing_to(extension_digest: str) -> bytes:
    """A packet that says no more than that all stands in the extension with this MD5."""
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" xmlns:xmpNote="{NOTE}" '
        f'xmpNote:HasExtendedXMP="{extension_digest}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _parsed(packet: bytes) -> minidom.Document | None:
    # A document type could define entities that grow without bound; XMP has none.
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return None
    try:
        return minidom.parseString(packet.strip(b"\0 \t\r\n"))
    except (ExpatError, ValueError, RecursionError):
        return None


def _written(document: minidom.Document) -> bytes:
    root = document.documentElement
    return b"" if root is None else root.toxml().encode()


def _strip(node: minidom.Document | minidom.Element) -> None:
    for child in list(node.childNodes):
        if not isinstance(child, minidom.Element):
            continue
        if _is_attachment(child.namespaceURI, child.localName):
            node.removeChild(child)
            continue
        for attribute in list(child.attributes.values()):
            if _is_attachment(attribute.namespaceURI, attribute.localName) or (
                attribute.prefix == "xmlns" and attribute.value in ATTACHMENTS
            ):
                child.removeAttributeNode(attribute)
        _strip(child)


def _is_attachment(uri: str | None, name: str | None) -> bool:
    return uri in ATTACHMENTS or (uri == CAMERA and bool(MOTION.match(name or "")))
