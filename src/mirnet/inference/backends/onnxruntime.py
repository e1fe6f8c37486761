"""ONNX Runtime: in float32, also on processors and systems that OpenVINO isn't there for."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor

from mirnet.environment import processor
from mirnet.inference.backends.backend import Candidate, load
from mirnet.models.mirnet_v2 import MIRNetV2

TIMES, BEYOND = 1.6, 512 << 20
"""Its memory beside PyTorch's, most of it for its own layout of features. Up to 1.5 times were seen
of large pictures, and up to 434 MiB beyond of small ones, whose buffers the C library's heap keeps
while it runs."""
ERRORS_ARE_RAISED = 4
"""The level of its log: only what ends the process is printed."""


class ONNXRuntime(Candidate):
    """Runs a network on the CPU."""

    TITLE = "ONNX Runtime"
    PACKAGES = ("onnx", "onnxruntime")

    def __init__(self, network: MIRNetV2) -> None:
        """As ``Candidate`` says."""
        super().__init__(network)
        self._made: tuple[int, Any] | None = None

    @staticmethod
    def load() -> Any:
        """As ``Candidate`` says."""
        silence()
        load("onnx", "onnxruntime", "onnx")
        return load("onnxruntime", "onnxruntime", "onnx")

    @staticmethod
    def arithmetics() -> tuple[torch.dtype, ...]:
        """As ``Candidate`` says; on a CPU its convolutions are in float32 alone."""
        return (torch.float32,)

    @staticmethod
    def setting() -> str:
        """As ``Candidate`` says."""
        return f"{processor()} {torch.backends.cpu.get_cpu_capability()}"

    def memory(self, estimate: int) -> int:
        """As ``Backend`` says."""
        return round(TIMES * estimate) + BEYOND

    def _run(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        try:
            with _errors_of_python():
                return _answer(self._session(torch.get_num_threads()), images)
        finally:
            _give_back()

    def _session(self, threads: int) -> Any:
        """One for all shapes."""
        from mirnet.inference.backends.onnx_graph import graph_of  # noqa: PLC0415

        if self._made is None or self._made[0] != threads:
            runtime = self.load()
            options = runtime.SessionOptions()
            options.intra_op_num_threads = threads
            options.enable_cpu_mem_arena = False  # it gives nothing back
            options.log_severity_level = ERRORS_ARE_RAISED
            cpu = ["CPUExecutionProvider"]
            session = runtime.InferenceSession(graph_of(self._network), options, providers=cpu)
            self._made = threads, session
        return self._made[1]


def _answer(session: Any, images: Tensor) -> Tensor:
    """The output of a session; a signal is seen within a tenth of a second, and ends it."""
    options = ONNXRuntime.load().RunOptions()
    inputs = {session.get_inputs()[0].name: images.numpy()}
    with ThreadPoolExecutor(1) as pool:
        try:
            run = pool.submit(session.run, None, inputs, options)
            while not run.done():
                wait([run], timeout=0.1)
        except BaseException:
            options.terminate = True
            raise
        (outputs,) = run.result()
    return torch.from_numpy(outputs)


@contextmanager
def _errors_of_python() -> Iterator[None]:
    """Its own errors as RuntimeError: their classes derive from nothing that says what they are."""
    try:
        yield
    except (MemoryError, RuntimeError):
        raise
    except Exception as error:
        raise RuntimeError(f"ONNX Runtime: {error}") from error


def _give_back() -> None:
    """Let the C library return what its heap keeps, where it is one that can: glibc.

    After three photos of 400×400 it held half a gigabyte, and the fourth seemed to have no room.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def silence() -> None:
    """Keep it from reporting to its makers, as it does by default; before it is loaded."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
