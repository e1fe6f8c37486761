from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from mirnet.imaging.apart import process
from mirnet.imaging.apart.process import DecoderError, MissingDecoderError, ask

HEAD = "from mirnet.imaging.apart.worker import Picture, serve\n"
DECODERS = {
    "echoes": "serve(lambda content, request: Picture(2, len(content) // 2, 1, 8, content))",
    "prints": "serve(lambda content, request: print('noise') or Picture(1, 1, 1, 8, b'x'))",
    "crashes": "import os, signal\nserve(lambda *_: os.kill(os.getpid(), signal.SIGKILL))",
    "hangs": "import time\nserve(lambda *_: time.sleep(60))",
    "spins": "def spin(*_):\n    while True: pass\nserve(spin)",
    "devours": "serve(lambda *_: bytearray(1 << 36))",
    "grows": "serve(lambda *_: Picture(1000, 1000, 1, 8, bytes(1000000)))",
    "stops": "serve(lambda *_: Picture(2, 2, 1, 8, b'abc'))",
    "fails": "serve(lambda *_: 1 / 0)",
    "says": "def say(*_): raise ValueError('two\\nlines \\x1b[31m of it')\nserve(say)",
    "murmurs": "def say(*_): raise OSError(b'bytes')\nserve(say)",
    "lacks": "def lack(*_): import no_such_package\nserve(lack)",
    "deep": "serve(lambda *_: Picture(1, 2, 1, 10, b'\\x40\\x00\\xc0\\xff'))",
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
    with pytest.raises(DecoderError, match="stopped"):
        ask(module, bytes(1 << 20), pixels=4)
    assert time.monotonic() - start < 20


def test_a_decoder_that_is_not_there_is_told_apart() -> None:
    with pytest.raises(MissingDecoderError, match="no_such_package"):
        ask("lacks", b"", pixels=4)
