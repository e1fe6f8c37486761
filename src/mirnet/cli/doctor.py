"""``mirnet doctor``: what is installed, and what is missing."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

import mirnet

EXTRAS = {
    "train": "training, .mat files, figures",
    "baselines": "classical methods beside the network",
    "lpips": "the LPIPS score",
    "fast": "faster on a CPU",
    "onnx": "faster on a CPU that OpenVINO isn't there for",
    "heic": "photos of phones",
    "raw": "RAW of cameras",
    "export": "networks for other programs",
    "serve": "a page and an HTTP API",
    "hub": "weights on hubs",
    "scale": "batches on many machines",
}
"""What each extra adds; its packages stand in the package's own metadata."""
REQUIREMENT = re.compile(
    r"""([\w.-]+)(?:\[([^\]]*)\])?[^;]*(?:;.*\bextra\s*==\s*["']([\w-]+)["'])?"""
)
"""A package, what it is asked to bring along, and the extra that it is for."""


def doctor() -> int:
    """Say which versions, devices and formats there are, what is missing and how to get it.

    The exit status is 1 if photos can't be restored with this installation.
    """
    print(f"mirnet {mirnet.__version__}, Python {platform.python_version()}, {platform.platform()}")
    broken = [name for name in _core() if not _report(name, f"pip install {name}")]
    for extra, purpose in EXTRAS.items():
        for name in _packages(extra):
            _report(name, f'pip install "mirnet[{extra}]"', purpose)
    if broken:
        return 1
    _report_devices()
    _report_formats()
    if not _report_weights():
        return 1
    _report_runtimes()
    return 0


def _packages(extra: str) -> list[str]:
    """The packages that an extra installs, by their names on the index."""
    return [name for name, _, wanted in _required("mirnet") if wanted == extra]


def _core() -> list[str]:
    """The packages without which photos can't be restored."""
    names = []
    for name, brought, wanted in _required("mirnet"):
        if wanted is None:
            names.append(name)
            names += [each for each, _, extra in _required(name) if brought and extra == brought]
    return names


def _required(package: str) -> list[tuple[str, str | None, str | None]]:
    """What a package requires, as ``REQUIREMENT`` tells it; nothing of one that isn't there."""
    try:
        lines = requires(package) or ()
    except PackageNotFoundError:
        return []
    found = filter(None, map(REQUIREMENT.match, lines))
    return [(each[1], each[2], each[3]) for each in found]


def _report(name: str, remedy: str, purpose: str = "") -> bool:
    """Print a package's version, or how to get it, and what it is for."""
    purpose = purpose and f" ({purpose})"
    try:
        print(f"  {name:<18} {version(name)}{purpose}")
    except PackageNotFoundError:
        print(f"  {name:<18} missing; {remedy}{purpose}")
        return False
    return True


def _report_devices() -> None:
    import psutil
    import torch

    from mirnet.inference.memory import available_memory
    from mirnet.units import in_bytes

    free, total = available_memory(torch.device("cpu")), psutil.virtual_memory().total
    print(
        f"  cpu                {torch.get_num_threads()} threads, "
        f"{in_bytes(free)} of memory free for this process, {in_bytes(total)} in the machine, "
        f"{torch.backends.cpu.get_cpu_capability()}"
    )
    for i in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(i)
        print(
            f"  cuda:{i}             {torch.cuda.get_device_name(i)}, "
            f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB memory free"
        )
    if not torch.cuda.is_available():
        print("  cuda               none; mirnet runs on the CPU")
    if torch.backends.mps.is_available():
        print("  mps                available")


def _report_formats() -> None:
    from importlib.util import find_spec

    from mirnet.imaging.formats import FORMATS, ORIGINALS

    print(f"  photos             {', '.join(sorted(FORMATS))}")
    for kind in dict.fromkeys(ORIGINALS.values()):
        what = f"{kind.name}, read, not written: {', '.join(kind.suffixes)}"
        needs = "" if find_spec(kind.package) else f'; pip install "mirnet[{kind.extra}]"'
        print(f"  photos             {what}{needs}")


def _report_weights() -> bool:
    """Whether the weights that should be here are here."""
    from mirnet.checkpoints.catalog import CATALOG, verified
    from mirnet.errors import CheckpointError

    complete = True
    for weights in CATALOG.values():
        try:
            print(f"  weights            {weights.name}: {verified(weights)}")
        except CheckpointError as error:
            print(f"  weights            {error}")
            complete = False
    return complete


def _report_runtimes() -> None:
    """What computes large photos on this CPU, with each of the weights; tried anew."""
    from mirnet.checkpoints.catalog import CATALOG, verified
    from mirnet.checkpoints.load import load_model
    from mirnet.inference.backends.choosing import report
    from mirnet.models.mirnet_v2 import MIRNetV2

    for weights in CATALOG.values():
        network = load_model(verified(weights))
        assert isinstance(network, MIRNetV2)
        for sentence in report(network):
            print(f"  runtime            {weights.name}: {sentence}")
