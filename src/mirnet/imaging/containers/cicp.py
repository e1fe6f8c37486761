"""Colour that a file names by the numbers of ITU-T H.273, as PNG's cICP and AVIF's nclx do."""

from __future__ import annotations

from mirnet.imaging import icc
from mirnet.imaging.containers.contents import UnusableError

HDR = {icc.PQ: "PQ", icc.HLG: "HLG"}


def profile(primaries: int, transfer: int, *, is_grey: bool = False) -> bytes | None:
    """A colour profile that says the same; None for sRGB and for what is unspecified.

    Raises UnusableError for HDR and linear light, which no weights here know, and for numbers
    that the standard does not define.
    """
    require_standard_range(transfer)
    curve = icc.SRGB_CURVE if transfer == icc.UNSPECIFIED else icc.CURVES.get(transfer)
    chromaticities = icc.PRIMARIES.get(1 if primaries == icc.UNSPECIFIED else primaries)
    if curve is None or chromaticities is None:
        raise UnusableError(
            f"has colours that mirnet doesn't know (primaries {primaries}, transfer {transfer} of "
            "H.273); convert it to sRGB first"
        )
    if curve == icc.SRGB_CURVE and (chromaticities == icc.SRGB or is_grey):
        return None
    description = f"CICP {primaries}/{transfer}"
    if is_grey:
        return icc.grey_profile(curve, description)
    return icc.rgb_profile(chromaticities, curve, description)


def require_standard_range(transfer: int) -> None:
    """Raise UnusableError for HDR and linear light, which no weights here know."""
    if transfer in HDR:
        raise UnusableError(
            f"is HDR ({HDR[transfer]}), which mirnet can't restore; convert it to SDR first"
        )
    if transfer == icc.LINEAR:
        raise UnusableError(
            "holds linear light, which mirnet can't restore; convert it to sRGB first"
        )


def require_known_profile(profile: bytes | None) -> None:
    """Raise UnusableError for a colour profile that names HDR or linear light by a number."""
    transfer = None if profile is None else icc.transfer(profile)
    if transfer is not None:
        require_standard_range(transfer)
