"""Places in the queue, without a server."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mirnet.web.jobs import SPARE, BusyError, Jobs
from mirnet.web.settings import Settings


def test_a_small_disk_takes_small_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is stored twice, as it comes and as it is; the largest would not fit."""
    free = SimpleNamespace(free=SPARE + 10_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    jobs = Jobs(Settings(), tmp_path)
    jobs.reserve(4_000)
    with pytest.raises(BusyError, match=r"the server's disk lacks .* set TMPDIR") as raised:
        jobs.reserve(4_000)
    assert raised.value.retry_s == 60
    jobs.release(4_000)
    jobs.reserve(5_000)
    with pytest.raises(BusyError):
        jobs.reserve(Settings().max_bytes)
