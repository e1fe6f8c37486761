"""``mirnet doctor``: what is installed, and what is missing."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

import mirnet

CORE = ("torch", "numpy", "pyvips", "pyvips-binary", "safetensors", "cyclopts", "rich", "psutil")
EXTRAS = {
    "train": "training, .mat files, figures",
    "baselines": "classical methods beside the network",
    "lpips": "the LPIPS score",
    "fast": "faster on a CPU",
    "heic": "photos of phones",
    "raw": "RAW of cameras",
    "export": "networks for other programs",
    "serve": "a page and an HTTP API",
    "hub": "weights on hubs",
    "scale": "batches on many machines",
}
"""What each extra adds; its packages stand in the package's own metadata."""
REQUIREMENT = re.compile(r"""([\w.-]+).*;\s*extra\s*==\s*["']([\w-]+)["']""")


def doctor() -> int:
    """Say which versions, devices and formats there are, what is missing and how to get it.

    The exit status is 1 if photos can't be restored with this installation.
    """
    print(f"mirnet {mirnet.__version__}, Python {platform.python_version()}, {platform.platform()}")
    broken = [name for name in CORE if not _report(name, f"pip install {name}")]
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
    found = filter(None, map(REQUIREMENT.match, requires("mirnet") or ()))
    return [name for name, wanted in (each.groups() for each in found) if wanted == extra]


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

    memory = psutil.virtual_memory()
    print(
        f"  cpu                {torch.get_num_threads()} threads, "
        f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB memory free, "
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
        print(f"  runtime            {weights.name}: {report(network)}")
