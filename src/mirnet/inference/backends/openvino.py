"""OpenVINO: on an Intel or AMD processor one and a half times as fast as PyTorch, and more."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mirnet.inference.backends.backend import Candidate, load
from mirnet.models.mirnet_v2 import MIRNetV2

HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}
"""OpenVINO lowers the precision by itself where it can, unless told."""
KEPT = 4
"""Graphs that are kept, each for one shape; without their working memory they are small."""
DIRECT, PADDED = 4, 1.15
"""Pictures of more channels than ``DIRECT`` are copied and padded to a vector's first: those of two
views took up to 1.12 times the memory that PyTorch's estimate says."""


class OpenVINO(Candidate):
    """Runs a network on the CPU."""

    TITLE = "OpenVINO"
    PACKAGES = ("openvino",)

    def __init__(self, network: MIRNetV2) -> None:
        """As ``Candidate`` says."""
        super().__init__(network)
        self._graphs: OrderedDict[Any, Any] = OrderedDict()

    @staticmethod
    def load() -> Any:
        """As ``Candidate`` says."""
        return load("openvino", "openvino", "fast")

    @staticmethod
    def arithmetics() -> tuple[torch.dtype, ...]:
        """As ``Candidate`` says."""
        able = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return tuple(dtype for dtype in HINTS if dtype == torch.float32 or "BF16" in able)

    @staticmethod
    def setting() -> str:
        """As ``Candidate`` says."""
        core = _core()
        able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} {' '.join(able)}"

    def memory(self, estimate: int) -> int:
        """As ``Backend`` says."""
        is_padded = self._network.config.in_channels > DIRECT
        return round(PADDED * estimate) if is_padded else estimate

    def _run(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        graph = self._graph(tuple(images.shape), dtype)
        try:
            return _answer(graph.create_infer_request(), images)
        finally:
            graph.release_memory()

    def _graph(self, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
        from mirnet.inference.backends.openvino_graph import graph_of  # noqa: PLC0415

        key = (shape, dtype, torch.get_num_threads())
        if key not in self._graphs:
            self._graphs[key] = _core().compile_model(
                graph_of(self._network, shape),  # type: ignore[arg-type]
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": HINTS[dtype],
                    "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                },
            )
        self._graphs.move_to_end(key)
        while len(self._graphs) > KEPT:
            self._graphs.popitem(last=False)
        return self._graphs[key]


def _answer(request: Any, images: Tensor) -> Tensor:
    """The output of a graph; a signal is seen within a tenth of a second, and ends it."""
    request.start_async([images.numpy()], share_inputs=True)
    try:
        while not request.wait_for(100):
            pass
    except BaseException:
        request.cancel()
        with suppress(RuntimeError):  # "was canceled"
            request.wait()
        raise
    return torch.from_numpy(request.get_output_tensor().data.copy())


def _core() -> Any:
    return _only_core(OpenVINO.load())


@cache
def _only_core(package: Any) -> Any:
    """The one of this process.

    Each gives its thread a stack for signal handlers and takes it away at its end: of several,
    the last to go puts back one that is gone, and the next Ctrl-C is a segmentation fault.
    """
    return package.Core()
