"""Results as files to download: one by one, or several as a zip."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote

from fastapi import HTTPException
from fastapi.responses import StreamingResponse

from mirnet.units import counted
from mirnet.web.job import Job
from mirnet.web.jobs import SPARE


def kind(path: Path) -> str:
    """Its media type."""
    suffix = path.suffix.removeprefix(".").lower()
    known = {"jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "tif": "tiff"}
    return f"image/{known.get(suffix, suffix)}"


def attachment(name: str) -> dict[str, str]:
    """Saved under this name; the plain one is for programs that know no UTF-8."""
    plain = "".join(each if each.isascii() and each not in '"\\' else "_" for each in name)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    }


def zipped(done: list[Job], folder: Path) -> StreamingResponse:
    """Results as one file, under their names; of one name, the second gets a number."""
    if not done:
        raise HTTPException(422, "ids: name at least one job")
    needed = sum(job.errand.target.stat().st_size for job in done)
    if shutil.disk_usage(folder).free < needed + SPARE:
        raise HTTPException(507, "the server's disk is too full for a zip; fetch them singly")
    packed = TemporaryFile(dir=folder)  # noqa: SIM115  (it is read after this function ends; nameless)
    with zipfile.ZipFile(packed, "w") as archive:  # photos are compressed already
        taken: set[str] = set()
        for job in done:
            archive.write(job.errand.target, _unique(job.result_name, taken))
    size = packed.tell()
    packed.seek(0)

    def parts() -> Iterator[bytes]:
        with packed:
            while part := packed.read(1 << 20):
                yield part

    headers = attachment(f"{counted(len(done), 'photo')}.zip".replace(" ", "-"))
    return StreamingResponse(
        parts(), media_type="application/zip", headers=headers | {"Content-Length": str(size)}
    )


def _unique(name: str, taken: set[str]) -> str:
    path, number = Path(name), 1
    unique = name
    while unique.casefold() in taken:
        number += 1
        unique = f"{path.stem}-{number}{path.suffix}"
    taken.add(unique.casefold())
    return unique
