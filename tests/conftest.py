"""A tiny network and photos that many tests need."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mirnet.atomic import signature
from mirnet.checkpoints.store import save_model
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.backends.onnxruntime import silence
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.hub import TOKEN, Hub, running

# Tiny networks gain nothing from threads, and workers of pytest-xdist would fight for the cores.
torch.set_num_threads(1)

# The client of hubs reads these when it is imported: no test reaches a hub that it has not started,
# nor the cache or the token of who runs the tests. Its other way of transfer needs a real hub.
os.environ |= {
    "HF_HOME": os.devnull, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_DISABLE_XET": "1"
}  # fmt: skip
os.environ.pop("HF_TOKEN", None)
silence()  # before a test loads ONNX Runtime

TINY = MIRNetV2Config(width=8, groups=(1,), blocks=1)


def signature_of(process: int) -> str:
    """How the temporary files of another process on this machine begin."""
    return signature().replace(f"-{os.getpid()}-", f"-{process}-")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["MIRNET_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with no models, which the client takes for the only one, and a cache of its own."""
    from huggingface_hub import constants

    with running() as started:
        template = f"{started.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", started.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setenv("HF_ENDPOINT", started.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield started


@pytest.fixture(scope="session")
def tiny_model() -> MIRNetV2:
    torch.manual_seed(0)
    return MIRNetV2(TINY)


@pytest.fixture(scope="session")
def tiny_weights(tiny_model: MIRNetV2, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(tiny_model, path, task="denoising")
    return path


@pytest.fixture
def make_photo(tmp_path: Path) -> Callable[..., Path]:
    """Writes a random photo of a size and returns its path."""

    def make(name: str = "photo.png", shape: tuple[int, ...] = (9, 14, 3), **kind: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_photo(Photo(pixels=random_pixels(shape, **kind)), path)
        return path

    return make


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Takes the right to read a file away; root, whom no mode keeps from it, has none either."""

    def take(path: Path) -> None:
        def opened(self: Path, *args: Any, **kind: Any) -> Any:
            if self == path:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return as_before(self, *args, **kind)

        as_before = Path.open
        monkeypatch.setattr(Path, "open", opened)

    return take


def random_pixels(shape: tuple[int, ...], dtype: Any = np.uint8, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
