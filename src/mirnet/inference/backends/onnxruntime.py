"""ONNX Runtime: for processors that OpenVINO isn't there for, in float32."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, ClassVar

import torch
from torch import Tensor

from mirnet.errors import MissingDependencyError
from mirnet.inference.backends.backend import require_arithmetic
from mirnet.inference.backends.graph import adds_image
from mirnet.models.mirnet_v2 import MIRNetV2

TIMES, BEYOND = 1.6, 512 << 20
"""Its memory beside PyTorch's. Its layout for the processor's vectors makes it faster by a tenth to
a third, and takes this: up to 1.5 times were seen of large pictures, and up to 434 MiB beyond of
small ones, whose buffers the C library's heap keeps."""


class ONNXRuntime:
    """Runs a network on the CPU."""

    TITLE: ClassVar[str] = "ONNX Runtime"

    def __init__(self, network: MIRNetV2) -> None:
        """Take a network in evaluation mode.

        Raises MissingDependencyError without the packages ``onnx`` and ``onnxruntime``.
        """
        self.name = f"{self.TITLE} {_onnxruntime().__version__}"
        self._network = network
        self._adds_image = adds_image(network.config)
        self.__setstate__({})

    @staticmethod
    def is_installed() -> bool:
        """As ``Candidate`` says."""
        try:
            _onnxruntime()
        except MissingDependencyError:
            return False
        return True

    @staticmethod
    def arithmetics() -> tuple[torch.dtype, ...]:
        """As ``Candidate`` says; on a CPU its convolutions are in float32 alone."""
        return (torch.float32,)

    @staticmethod
    def setting() -> str:
        """As ``Candidate`` says."""
        return torch.backends.cpu.get_cpu_capability()

    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Run a batch, as ``Backend`` says. Raises DeviceError for arithmetic that it lacks."""
        require_arithmetic(ONNXRuntime, dtype)
        images = images.detach().contiguous()
        # One at a time: it uses all threads anyway, and two would take twice the memory.
        with self._lock:
            outputs = _answer(self._session(torch.get_num_threads()), images)
        return outputs.add_(images) if self._adds_image else outputs

    def memory(self, estimate: int) -> int:
        """As ``Backend`` says."""
        return round(TIMES * estimate) + BEYOND

    def __getstate__(self) -> dict[str, Any]:
        """Without what can't be pickled; it is made again."""
        return {key: value for key, value in vars(self).items() if key not in ("_made", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin without a session."""
        vars(self).update(state)
        self._made: tuple[int, Any] | None = None
        self._lock = threading.Lock()

    def _session(self, threads: int) -> Any:
        """One for all shapes."""
        from mirnet.inference.backends.onnx_graph import graph_of  # noqa: PLC0415

        if self._made is None or self._made[0] != threads:
            runtime = _onnxruntime()
            options = runtime.SessionOptions()
            options.intra_op_num_threads = threads
            options.enable_cpu_mem_arena = False  # it gives nothing back
            options.log_severity_level = 3  # errors; they are raised as well
            cpu = ["CPUExecutionProvider"]
            session = runtime.InferenceSession(graph_of(self._network), options, providers=cpu)
            self._made = threads, session
        return self._made[1]


def _answer(session: Any, images: Tensor) -> Tensor:
    """The output of a session; a signal is seen within a tenth of a second, and ends it."""
    runtime = _onnxruntime()
    options = runtime.RunOptions()
    inputs = {session.get_inputs()[0].name: images.numpy()}
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(session.run, None, inputs, options)
        try:
            while not run.done():
                wait([run], timeout=0.1)
        except BaseException:
            options.terminate = True
            with suppress(Exception):  # "Exiting due to terminate flag being set to true"
                run.result()
            raise
        try:
            (outputs,) = run.result()
        except Exception as error:  # its own classes derive from nothing that says what they are
            if isinstance(error, MemoryError | RuntimeError):
                raise
            raise RuntimeError(f"ONNX Runtime: {error}") from error
    return torch.from_numpy(outputs)


def _onnxruntime() -> Any:
    try:
        import onnx  # noqa: F401, PLC0415
        import onnxruntime  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            'runtime onnxruntime: ONNX Runtime is not installed; pip install "mirnet[onnx]"'
        ) from error
    return onnxruntime
