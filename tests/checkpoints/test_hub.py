import hashlib
import socket
import sys
import time
from pathlib import Path

import pytest
import torch

from mirnet.checkpoints.catalog import resolve
from mirnet.checkpoints.hub import fetch, push, recorded
from mirnet.checkpoints.hub_address import is_address
from mirnet.checkpoints.load import load_model
from mirnet.environment import file_sha256
from mirnet.errors import CheckpointError, MissingDependencyError
from mirnet.inference.restorer import Restorer
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import TINY, random_pixels
from tests.hub import Hub

MODEL = "me/denoiser"
ADDRESS = f"hf://{MODEL}"


@pytest.fixture
def content(hub: Hub, tiny_weights: Path) -> bytes:
    """What the only weights of the hub's only model hold."""
    content = tiny_weights.read_bytes()
    hub.add(MODEL, {"README.md": b"# Mine", "tiny.safetensors": content})
    return content


@pytest.fixture
def offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def flip(path: Path) -> None:
    """Change the last bit of a file in the cache, which a link leads to."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.resolve().write_bytes(content)


def refusal(address: str | Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        fetch(address)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_model_of_a_hub_is_that_of_its_file(content: bytes, tiny_model: MIRNetV2) -> None:
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(load_model(ADDRESS)(image), tiny_model(image))
    restorer = Restorer.from_pretrained(ADDRESS, device="cpu")
    local = Restorer(tiny_model, device="cpu")
    pixels = random_pixels((16, 16, 3))
    assert (restorer(pixels) == local(pixels)).all()


def test_a_path_made_of_an_address_stands_for_it(content: bytes) -> None:
    assert resolve(Path(ADDRESS)).read_bytes() == content
    assert is_address(Path(ADDRESS))
    assert not is_address("hf.safetensors")
    assert not is_address(Path("hf") / "me" / "denoiser")


def test_what_is_in_the_cache_is_not_fetched_again(hub: Hub, content: bytes) -> None:
    first = fetch(ADDRESS)
    assert first.path.read_bytes() == content
    assert first.sha256 == recorded(first.path) == hashlib.sha256(content).hexdigest()
    fetched = [path for path in hub.asked if "/resolve/" in path]
    assert len(fetched) == 2  # its headers and its content
    assert fetch(ADDRESS) == first
    assert len([path for path in hub.asked if "/resolve/" in path]) == 3


def test_a_revision_is_what_it_was(hub: Hub, content: bytes) -> None:
    commit = hub.add(MODEL, {"tiny.safetensors": content}, revision="v1")
    hub.add(MODEL, {"tiny.safetensors": b"newer"})
    assert fetch(f"{ADDRESS}@v1").path.read_bytes() == content
    assert fetch(f"{ADDRESS}@{commit}/tiny.safetensors").path.read_bytes() == content
    assert fetch(ADDRESS).path.read_bytes() == b"newer"


def test_of_several_files_one_must_be_named(hub: Hub, content: bytes) -> None:
    hub.add(MODEL, {"more/a.safetensors": b"other"}, revision="v2")
    hub.add(MODEL, {"more/a.safetensors": b"other"})
    assert refusal(ADDRESS) == (
        f"{ADDRESS}: it holds more/a.safetensors, tiny.safetensors; name one, such as "
        f"{ADDRESS}/more/a.safetensors"
    )
    assert fetch(f"{ADDRESS}/more/a.safetensors").path.read_bytes() == b"other"
    assert fetch(f"{ADDRESS}/tiny.safetensors").path.read_bytes() == content
    assert f"{ADDRESS}@main/more/a.safetensors" in refusal(f"{ADDRESS}@main")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("hf://me/nothing", "has no such model, or not for you"),
        ("hf://me/denoiser@v9", "there is no such revision"),
        ("hf://me/denoiser/b.safetensors", "there is no such file; it holds tiny.safetensors"),
        ("hf://me/denoiser/model.pth", "only .safetensors files are taken from a hub"),
        ("hf://me/pickles", "it holds no .safetensors file"),
        ("hf://me", "is no address of a model on a hub; one is hf://owner/name"),
        ("hf://me/../name", "is no address of a model on a hub"),
        ("hf://datasets/me/name", "is no address of a model on a hub"),
        ("hf://", "is no address of a model on a hub"),
    ],
)
def test_what_can_t_be_meant_is_one_line(
    hub: Hub, content: bytes, address: str, words: str
) -> None:
    hub.add("me/pickles", {"model.pth": b"", "pytorch_model.bin": b""})
    message = refusal(address)
    assert message.startswith(f"{address}: ")
    assert words in message


def test_what_may_be_a_password_is_not_shown_and_a_line_is_one() -> None:
    assert refusal("hf://me:hush@me/name").startswith("hf://…: is no address of a model on a hub")
    assert refusal("hf://me/name\n").startswith("hf://me/name: is no address of a model on a hub")


def test_a_pickle_is_never_fetched(hub: Hub) -> None:
    hub.add(MODEL, {"model.pth": b"", "model.safetensors.pth": b""})
    for address in (ADDRESS, f"{ADDRESS}/model.pth"):
        refusal(address)
    assert [path for path in hub.asked if "/resolve/" in path] == []


def test_a_flipped_bit_on_the_way_is_refused(hub: Hub, content: bytes) -> None:
    hub.spoils = True
    message = refusal(ADDRESS)
    assert f"the hub recorded {hashlib.sha256(content).hexdigest()}" in message
    with pytest.raises(CheckpointError, match="recorded"):
        load_model(ADDRESS)


def test_a_flipped_bit_in_the_cache_is_refused_and_mended_when_asked(content: bytes) -> None:
    path = fetch(ADDRESS).path
    flip(path)
    assert file_sha256(path) in refusal(ADDRESS)
    with pytest.raises(CheckpointError, match="recorded"):
        Restorer.from_pretrained(ADDRESS)
    assert fetch(ADDRESS, mend=True).path.read_bytes() == content
    assert fetch(ADDRESS).path.read_bytes() == content


def test_what_the_hub_records_no_sum_of_is_refused(hub: Hub, content: bytes) -> None:
    hub.regular = True
    assert "records no SHA-256 of it" in refusal(ADDRESS)


@pytest.mark.usefixtures("content")
def test_without_a_network_what_was_fetched_is_there_and_checked(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = fetch(ADDRESS)
    asked = len(hub.asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for address in (ADDRESS, f"{ADDRESS}/tiny.safetensors", f"{ADDRESS}@main"):
        assert fetch(address) == online
    assert len(hub.asked) == asked
    assert "is not in the cache" in refusal(f"{ADDRESS}/other.safetensors")
    assert "is not in the cache" in refusal(f"{ADDRESS}@v1")
    flip(online.path)
    assert "and the hub recorded" in refusal(ADDRESS)


def test_without_a_network_a_file_that_is_not_named_is_said(
    hub: Hub,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub.add(MODEL, {"more/a.safetensors": b"other"})
    named = fetch(f"{ADDRESS}/tiny.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetch(f"{ADDRESS}/tiny.safetensors") == named
    assert caplog.messages == []
    assert fetch(f"{ADDRESS}@main") == named
    (said,) = caplog.messages
    assert said.startswith(f"{ADDRESS}@main: takes tiny.safetensors, the only file of it in the")
    assert said.endswith(f"may have others: name it to be sure, {ADDRESS}@main/tiny.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    fetch(f"{ADDRESS}/more/a.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "it holds more/a.safetensors, tiny.safetensors; name one" in refusal(ADDRESS)
    assert len(caplog.messages) == 1


def test_a_copy_without_a_record_is_refused_without_a_network(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetch(ADDRESS).path
    path.unlink()
    path.write_bytes(content)  # as where a system has no links
    assert fetch(ADDRESS).path == path
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "can't be checked, since no SHA-256 is recorded with it" in refusal(ADDRESS)


@pytest.mark.usefixtures("content", "offline")
def test_offline_and_not_there_is_said_at_once() -> None:
    began = time.monotonic()
    message = refusal(ADDRESS)
    assert time.monotonic() - began < 2
    assert message.startswith(f"{ADDRESS}: is not in the cache, and http://127.0.0.1")
    assert "(HF_HUB_OFFLINE is set)" in message


def test_a_hub_that_is_not_there_is_said_at_once(
    hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fetch(ADDRESS)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    assert "http://127.0.0.1:9 can't be reached (" in refusal("hf://me/other")
    assert fetch(ADDRESS) == found
    with pytest.raises(CheckpointError, match=r"http://127.0.0.1:9 can't be used \("):
        push(found.path, ADDRESS, "# Card")
    assert time.monotonic() - began < 4


def test_a_hub_that_says_nothing_is_given_up(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirnet.checkpoints.hub.TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        began = time.monotonic()
        assert f"{url} can't be reached (timed out)" in refusal(ADDRESS)
        assert time.monotonic() - began < 3


def test_a_hub_that_is_down_leaves_what_was_fetched(hub: Hub, content: bytes) -> None:
    found = fetch(ADDRESS)
    hub.status = 503
    assert fetch(ADDRESS) == found
    began = time.monotonic()
    assert "503" in refusal("hf://me/other")
    assert time.monotonic() - began < 2
    hub.status = 403
    assert f"{hub.url} answers 403; log in with `hf auth login`" in refusal(ADDRESS)


@pytest.mark.parametrize("fault", [KeyError("id"), ValueError("Expecting value: line 1")])
def test_what_is_no_hub_is_said_to_be_none(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_hub(_: object) -> None:
        raise fault

    monkeypatch.setattr("mirnet.checkpoints.hub._on_hub", on_hub)
    with pytest.raises(CheckpointError, match="does not answer as a hub does; check HF_ENDPOINT"):
        fetch("hf://me/name")


def test_what_is_pushed_is_what_is_fetched(hub: Hub, tiny_weights: Path) -> None:
    commit = push(tiny_weights, "hf://me/new", "# Card", private=True)
    assert commit == f"{hub.url}/me/new/commit/{hub.models['me/new'].revisions['main']}"
    assert hub.models["me/new"].private
    assert hub.file("me/new", "README.md") == b"# Card"
    assert hub.file("me/new", "tiny.safetensors") == tiny_weights.read_bytes()
    assert fetch("hf://me/new").path.read_bytes() == tiny_weights.read_bytes()
    push(tiny_weights, "hf://me/new/parts/first.safetensors", "# Card")
    assert hub.file("me/new", "parts/first.safetensors") == tiny_weights.read_bytes()


def test_who_may_not_push_is_told(
    hub: Hub, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(MODEL, {})
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(CheckpointError, match="answers 401; log in with `hf auth login`"):
        push(tiny_weights, ADDRESS, "# Card")
    assert hub.models[MODEL].commits[hub.models[MODEL].revisions["main"]] == {}


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "mirnet\[hub\]"'):
        load_model(ADDRESS)


def test_other_weights_need_no_hub(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert load_model(tiny_weights).config == TINY
    assert recorded(tiny_weights) is None
