from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mirnet.imaging.apart import process
from mirnet.imaging.apart.process import DecoderError, MissingDecoderError, ask

HEAD = "from mirnet.imaging.apart.worker import Picture, serve\n"
DECODERS = {
    "echoes": "serve(lambda content, request: Picture(2, len(content) // 2, 1, 8, data=content))",
    "prints": "serve(lambda content, request: print('noise') or Picture(1, 1, 1, 8, data=b'x'))",
    "crashes": "import os, signal\nserve(lambda *_: os.kill(os.getpid(), signal.SIGKILL))",
    "hangs": "import time\nserve(lambda *_: time.sleep(60))",
    "spins": "def spin(*_):\n    while True: pass\nserve(spin)",
    "devours": "serve(lambda *_: bytearray(1 << 36))",
    "grows": "serve(lambda *_: Picture(1000, 1000, 1, 8, data=bytes(1000000)))",
    "stops": "serve(lambda *_: Picture(2, 2, 1, 8, data=b'abc'))",
    "notes": "serve(lambda *_: Picture(1, 1, 1, 8, ('odd\\n thing', 'b'), b'x'))",
    "lingers": "import time\nserve(lambda *_: Picture(1, 1, 1, 8, data=b'x'))\ntime.sleep(60)",
    "reserves": "import mmap\ndef reserve(content, request):\n    mmap.mmap(-1, 3 << 30)\n"
    "    return Picture(1, 1, 1, 8, data=b'x')\nserve(reserve)",
    "limits": "import resource as r\ndef say(*_): raise ValueError([r.getrlimit(each)"
    " for each in (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_CORE)])\nserve(say)",
    "sees": "import os\ndef say(*_): raise ValueError(sorted(os.environ))\nserve(say)",
    "counts": "import os\ndef say(*_): raise ValueError(os.environ['OMP_NUM_THREADS'])\nserve(say)",
    "waits": "import os, time\ndef wait(content, _):\n    with open(content, 'w') as file:\n"
    "        file.write(str(os.getpid()))\n    time.sleep(60)\nserve(wait)",
    "clashes": "def clash(*_): raise ImportError('no room for lib')\nserve(clash)",
    "refuses": "from mirnet.imaging.apart.worker import RefusedError\n"
    "def refuse(*_): raise RefusedError('too odd', 'make it plain')\nserve(refuse)",
    "fails": "serve(lambda *_: 1 / 0)",
    "says": "def say(*_): raise ValueError('two\\nlines \\x1b[31m of it')\nserve(say)",
    "murmurs": "def say(*_): raise OSError(b'bytes')\nserve(say)",
    "lacks": "def lack(*_): import no_such_package\nserve(lack)",
    "deep": "serve(lambda *_: Picture(1, 2, 1, 10, data=b'\\x40\\x00\\xc0\\xff'))",
}


@pytest.fixture(autouse=True)
def _decoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders that do what hostile files make of them, beside those of the package."""
    folder = tmp_path / "trials"
    folder.mkdir()
    for name, code in DECODERS.items():
        (folder / f"{name}.py").write_text(HEAD + code + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(process, "__package__", "trials")


def test_a_file_goes_in_and_values_come_out() -> None:
    content = bytes(range(256)) * 4096  # more than a pipe holds
    picture, values = ask("echoes", content, pixels=len(content))
    assert picture[:4] == (2, len(content) // 2, 1, 8)
    assert values.tobytes() == content
    _, none = ask("echoes", content, pixels=None)
    assert none.size == 0
    _, values = ask("deep", b"", pixels=2)
    assert values.tolist() == [[[0x0040], [0xFFC0]]]


def test_what_a_library_prints_is_no_answer() -> None:
    _, values = ask("prints", b"", pixels=1)
    assert values.tobytes() == b"x"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("crashes", "crashed"),
        ("stops", "crashed"),
        ("fails", "division by zero"),
        ("says", r"two lines \[31m of it"),
        ("murmurs", "^bytes$"),
        ("grows", "more than its header says"),
        ("clashes", "can't be loaded: no room for lib"),
    ],
)
def test_a_decoder_that_fails_is_one_line(module: str, reason: str) -> None:
    with pytest.raises(DecoderError, match=reason) as refused:
        ask(module, b"", pixels=4)
    assert str(refused.value).isprintable()


@pytest.mark.skipif(sys.platform != "linux", reason="others don't limit address space")
def test_a_decoder_that_wants_all_memory_gets_none() -> None:
    with pytest.raises(DecoderError, match="more memory than a picture of this size"):
        ask("devours", b"", pixels=4)


@pytest.mark.parametrize("module", ["hangs", "spins"])
def test_a_decoder_that_never_ends_is_stopped(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SECONDS", 2)
    start = time.monotonic()
    # What only waits is stopped by the clock; what computes may reach its own limit first.
    reason = r"stopped after 2 s$" if module == "hangs" else "stopped"
    with pytest.raises(DecoderError, match=reason):
        ask(module, bytes(1 << 20), pixels=4)
    assert time.monotonic() - start < 20


def test_a_decoder_that_is_not_there_is_told_apart() -> None:
    with pytest.raises(MissingDecoderError, match="no_such_package"):
        ask("lacks", b"", pixels=4)


def test_one_that_has_answered_is_not_waited_for() -> None:
    start = time.monotonic()
    picture, _ = ask("lingers", b"", pixels=1)
    assert picture[:4] == (1, 1, 1, 8)
    assert time.monotonic() - start < 20


def test_notes_come_out_as_lines() -> None:
    picture, _ = ask("notes", b"", pixels=1)
    assert picture.notes == ("odd thing", "b")


def test_each_failure_has_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, remedy in (
        ("refuses", "make it plain"),
        ("fails", "or convert it to TIFF first"),
        ("crashes", "or convert it to TIFF first"),
        ("clashes", "install the package anew"),
    ):
        with pytest.raises(DecoderError) as refused:
            ask(module, b"", pixels=1)
        assert remedy in refused.value.remedy
    monkeypatch.setattr(process, "SECONDS", 0)
    with pytest.raises(DecoderError) as refused:
        ask("hangs", b"", pixels=1)
    assert "when the machine is idle" in refused.value.remedy
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(DecoderError, match="can't be started") as refused:
        ask("prints", b"", pixels=1)
    assert "check the limits" in refused.value.remedy


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limits")
def test_its_process_has_the_limits_of_its_picture() -> None:
    content, pixels = bytes(1000), 10**6
    memory, seconds = (2 << 30) + 96 * pixels + 4 * len(content), 35
    with pytest.raises(DecoderError) as told:
        ask("limits", content, pixels=pixels)
    assert str(told.value) == str([(each, each) for each in (memory, seconds, 0)])
    with pytest.raises(DecoderError) as told:
        ask("limits", content, pixels=1 << 62)
    assert str((30 + int(5e-6 * 2**30),) * 2) in str(told.value)


@pytest.mark.skipif(sys.platform != "linux", reason="others don't limit address space")
def test_memory_grows_with_pixels_and_bytes() -> None:
    with pytest.raises(DecoderError):
        ask("reserves", b"", pixels=1)
    assert ask("reserves", b"", pixels=20_000_000)[0].height == 1
    assert ask("reserves", bytes(400 << 20), pixels=1)[0].height == 1


def test_secrets_of_the_environment_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNET_TOKEN", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(DecoderError) as told:
        ask("sees", b"", pixels=1)
    assert "TOKEN" not in str(told.value)
    assert "'OMP_NUM_THREADS'" in str(told.value)
    assert "'PATH'" in str(told.value)


@pytest.mark.parametrize(
    ("here", "there"), [(None, "4"), ("1", "1"), ("4", "4"), ("64", "4"), ("many", "many")]
)
def test_a_decoder_has_the_threads_it_is_given_but_four_at_most(
    here: str | None, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if here is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", here)
    with pytest.raises(DecoderError, match=f"^{there}$"):
        ask("counts", b"", pixels=1)


@pytest.mark.skipif(sys.platform != "linux", reason="others can't")
def test_a_decoder_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    code = (
        "from mirnet.imaging.apart import process\n"
        "process.__package__ = 'trials'\n"
        f"process.ask('waits', {str(place).encode()!r}, pixels=1)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        until(lambda: place.exists() and place.read_text())
    finally:
        parent.kill()
        parent.wait()
    until(lambda: has_ended(int(place.read_text())))


def has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    "answer",
    [
        b"junk", b"5", b"[]", b"{}", b"null", b"\xff\xfe", b'"fault"', b"1" * 5000,
        b'{"height":-1,"width":-4,"channels":1,"bits":8}',
        b'{"height":0,"width":1,"channels":1,"bits":8}',
        b'{"height":1,"width":1,"channels":1000000000000,"bits":8}',
        b'{"height":1,"width":1,"channels":1,"bits":17}',
        b'{"height":"1","width":1,"channels":1,"bits":8}',
        b'{"height":true,"width":1,"channels":1,"bits":8}',
        b'{"height":1.0,"width":1,"channels":1,"bits":8}',
        b'{"height":1,"width":1,"channels":1,"bits":8,"notes":5}',
        b'{"height":65536,"width":65536,"channels":1,"bits":8}',
        b"[" * 4000,
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_none(answer: bytes) -> None:
    for most in (None, 4):
        assert process._answer(io.BytesIO(answer + b"\nabcd"), most=most) is None
    good = io.BytesIO(b'{"height":1,"width":4,"channels":1,"bits":8,"more":2}\nabcd')
    found = process._answer(good, most=4)
    assert found is not None
    assert found[1].tobytes() == b"abcd"
