"""Restore arrays, tensors and files with one model."""

from __future__ import annotations

import logging
from functools import partial
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirnet.checkpoints.catalog import resolve
from mirnet.checkpoints.expected import Expected, expected_for
from mirnet.checkpoints.load import load_checkpoint
from mirnet.choices import Device, OutputDepth, Precision, Runtime
from mirnet.imaging.photo import Photo
from mirnet.imaging.quantize import from_planes, to_planes
from mirnet.inference.devices import choose_device, choose_dtype
from mirnet.inference.files import PIXEL_TYPES, FileSteps, check_depth
from mirnet.inference.fit import Fit
from mirnet.inference.guards import doubts_after, doubts_before
from mirnet.inference.inputs import require_batch, require_pictures, require_treatable
from mirnet.inference.jobs import Job
from mirnet.inference.pil import is_pil, through_array
from mirnet.inference.running import Runner
from mirnet.inference.streaming.stream import Progress, ignore_progress
from mirnet.inference.treatment import Options, Treatment
from mirnet.models.network import Network

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

logger = logging.getLogger("mirnet")

AnyArray = NDArray[Any]


class Restorer:
    """A model ready to restore photos of any size.

    >>> restorer = Restorer.from_pretrained("denoising")
    >>> clean = restorer(noisy)  # (H, W, 3) uint8, uint16 or float in [0, 1]; the same kind out

    A result that holds NaN or infinity, as half precision may give, is computed again in float32
    and reported by a warning of the logger ``mirnet``. So is what is unusual about an array or a
    PIL image, or about its result; of a file, ``restore_file`` returns it. Tensors aren't looked
    at: they are what programs score and train with.

    One restorer may be called from several threads, and can be pickled. Each call plans with the
    memory that is free when it begins, and knows nothing of the others: large photos had better go
    one after the other, or in processes that each have a ``memory``. Processes that restore
    files must be started by ``multiprocessing``'s "spawn" or "forkserver": in a fork of a process
    that has read a photo, reading another is refused, since it would hang.
    """

    def __init__(
        self,
        model: Network,
        *,
        device: Device | str = "auto",
        precision: Precision = "auto",
        memory: int | None = None,
        runtime: Runtime = "auto",
        expected: Expected = Expected(),  # noqa: B008  (frozen)
    ) -> None:
        """Take over a model.

        Args:
            model: the network; it is copied, not changed.
            device: where to run; ``auto`` takes CUDA, then MPS, then the CPU. ``cuda:1`` is the
                second GPU.
            precision: of the network's arithmetic; ``auto`` is float32. An image of 8 bits, which
                comes back with 8, goes in bfloat16 where the difference disappears in the rounding:
                on a CUDA device that has it if ``expected`` says so, on a processor that is faster
                in it if a trial shows so. Global reductions and the output stay in float32.
            memory: bytes that this process may take on the device; what is free, unless told. A
                picture that will not fit in one piece goes in tiles, with the same result.
            runtime: what computes a picture that goes in one piece; ``auto`` takes PyTorch, and on
                a CPU, for half a megapixel and more, the faster of OpenVINO and ONNX Runtime, if it
                is installed and a trial with this network on this machine shows that it gives the
                same, and on a small picture at 0.8 of PyTorch's speed or more: it gains with the
                size. ``compiled`` is PyTorch's compiler, which takes a minute first.
            expected: what is usual for its photos and results, so that what isn't is said, and
                whether they bear bfloat16.

        Raises:
            DeviceError: there is no such device, or it lacks that arithmetic; a processor that
                emulates it is slow, with a word.
            MissingDependencyError: the runtime is not installed.
            ConfigError: there is no such precision or runtime, or it can't run this network.
            ValueError: ``memory`` is no number of bytes.
        """
        if memory is not None and not (isinstance(memory, Real) and memory >= 1):  # NaN is not
            raise ValueError(f"memory: is a number of bytes above 0, got {memory!r}")
        chosen = choose_device(device)
        dtype = lowest = choose_dtype(precision, chosen)
        self.expected = expected
        self._may_lower = precision == "auto"
        if self._may_lower:
            lowest = choose_dtype(precision, chosen, for_8_bits=expected.is_fine_in_bfloat16)
        self._runner = Runner(model, chosen, dtype, memory, runtime, dtype_for_8_bits=lowest)

    @property
    def model(self) -> Network:
        """The network, on its device."""
        return self._runner.network

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._runner.device

    @property
    def dtype(self) -> torch.dtype:
        """The arithmetic of the network, but for images of 8 bits."""
        return self._runner.dtype

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        device: Device | str = "auto",
        precision: Precision = "auto",
        memory: int | None = None,
        runtime: Runtime = "auto",
    ) -> Self:
        """The restorer of a task's default weights, of named weights, or of a weights file.

        A file on a hub is named ``hf://owner/name``. Raises CheckpointError for an unknown name or
        a file that can't be used.
        """
        checkpoint = load_checkpoint(resolve(name_or_path))
        return cls(
            checkpoint.build(),
            device=device,
            precision=precision,
            memory=memory,
            runtime=runtime,
            expected=expected_for(checkpoint.task),
        )

    @overload
    def __call__(self, image: AnyArray, **options: Unpack[Options]) -> AnyArray: ...
    @overload
    def __call__(self, image: Tensor, **options: Unpack[Options]) -> Tensor: ...
    @overload
    def __call__(self, image: PILImage, **options: Unpack[Options]) -> PILImage: ...
    def __call__(
        self, image: AnyArray | Tensor | PILImage, **options: Unpack[Options]
    ) -> AnyArray | Tensor | PILImage:
        """Restore an image and return the same kind, size and depth.

        Args:
            image: ``(H, W, 3)`` RGB, ``(H, W, 1)`` or ``(H, W)`` grey, as uint8, uint16 or float
                in [0, 1]; or a float tensor ``(N, C, H, W)`` in [0, 1] with the channels that the
                network takes; or a PIL image of mode L, RGB, I;16, LA or RGBA, whose alpha is kept.
                Floats may overshoot [0, 1] by a tenth, as resampling does; they are clipped.
            options: ``strength``, ``chroma_only``, ``detail`` and ``enlarge``, as in ``Treatment``.

        Raises:
            TypeError: the image is none of these kinds.
            ValueError: shape, type, range or an option is not one of these.
            InsufficientMemoryError: the image will not fit, not even in tiles.
            NonFiniteError: the output is not finite even in float32.
        """
        treatment = Treatment(**options)
        if isinstance(image, Tensor):
            return self._restore_batch(image, treatment)
        if is_pil(image):
            through: PILImage = through_array(image, partial(self, **options))
            return through
        if not isinstance(image, np.ndarray):
            raise TypeError(
                f"an image is a NumPy array, a tensor or a PIL image, not a {type(image).__name__}"
            )
        pixels = image[:, :, None] if image.ndim == 2 else image
        restored = self._restore_and_tell(pixels, treatment)
        return restored[:, :, 0] if image.ndim == 2 else restored

    @property
    def views(self) -> int:
        """Pictures that it takes together: 2 for the left and the right view of a dual pixel."""
        return self.model.config.in_channels // 3

    def restore_photo(
        self,
        *views: Photo,
        treatment: Treatment = Treatment(),  # noqa: B008  (frozen)
        depth: OutputDepth = "keep",
        where: str = "photo",
        progress: Progress = ignore_progress,
    ) -> Photo:
        """Restore a photo; its alpha and metadata are kept, and its depth unless told.

        Of the two ``views`` of a dual-pixel photo, the left one's are. ``where`` is what messages
        begin with; ``progress`` is as in ``restore_file``.
        """
        check_depth(depth)
        together = tuple(view.pixels for view in views)
        require_pictures(together, self.model.config)
        photo = views[0]
        dtype = photo.pixels.dtype if depth == "keep" else np.dtype(PIXEL_TYPES[depth])
        return photo.with_pixels(self._restore_pixels(together, treatment, dtype, where, progress))

    def restore_file(
        self,
        source: str | Path,
        target: str | Path,
        *,
        right: str | Path | None = None,
        depth: OutputDepth = "keep",
        quality: int | None = None,
        allow_damaged: bool = False,
        progress: Progress = ignore_progress,
        **options: Unpack[Options],
    ) -> tuple[str, ...]:
        """Restore a photo file into another, with its depth, alpha and metadata.

        Args:
            source: a PNG, JPEG, TIFF, WebP, AVIF, HEIC or RAW file; it is not touched. For a
                network that takes two views, the left one, or a TIFF whose two pages they are.
            target: the file to write; its suffix decides the format. It is written whole or not
                at all.
            right: the right view, if it is a file of its own.
            depth: bits per channel of the target, or ``float``; as in the source unless told.
            quality: of JPEG, WebP and AVIF, 1–100; 95 unless told, or without loss where the
                source was.
            allow_damaged: restore what can be decoded of a damaged file.
            progress: told how many steps are done, of how many, if the photo goes in tiles.
            options: as in ``__call__``.

        Returns:
            What is doubtful or was left out, a sentence each.

        Raises:
            PhotoError: a file can't be read or written. Also what ``__call__`` raises.
        """
        steps = FileSteps(
            self,
            Treatment(**options),
            depth=depth,
            quality=quality,
            allow_damaged=allow_damaged,
            progress=progress,
        )
        target = Path(target)
        job = Job(Path(source), target, None if right is None else Path(right))
        return steps.write(steps.restore(steps.read(job), job), target)

    def require_memory(
        self, height: int, width: int, treatment: Treatment, *, where: str, for_8_bits: bool = False
    ) -> Fit:
        """How such a photo will go through memory; ``for_8_bits``: it has 8 bits, and keeps them.

        Raises InsufficientMemoryError, which begins with ``where``, if it won't fit.
        """
        factor = treatment.enlarge
        return self._runner.fits(
            height * factor,
            width * factor,
            where=where,
            wanted=self._runner.wanted(for_8_bits=for_8_bits and self._may_lower),
            after=treatment.bytes_per_pixel,
        )[0]

    @property
    def room(self) -> int:
        """Bytes of the host's memory that may still be taken."""
        return self._runner.room

    def _restore_and_tell(self, pixels: AnyArray, treatment: Treatment) -> AnyArray:
        """As ``_restore_pixels``, of an array that has no notes: what is doubtful is logged."""
        require_pictures((pixels,), self.model.config)
        for doubt in doubts_before([pixels], self.expected):
            logger.warning("image: %s", doubt)
        restored = self._restore_pixels((pixels,), treatment, pixels.dtype)
        for doubt in doubts_after(pixels, restored, self.expected):
            logger.warning("image: %s", doubt)
        return restored

    def _restore_pixels(
        self,
        views: tuple[AnyArray, ...],
        treatment: Treatment,
        dtype: np.dtype[Any],
        where: str = "image",
        progress: Progress = ignore_progress,
    ) -> AnyArray:
        planes = _planes_of(views)
        is_8_bits = all(pixels.dtype == dtype == np.uint8 for pixels in views)
        restored = self._restore_batch(planes, treatment, where, progress, for_8_bits=is_8_bits)[0]
        del planes
        return from_planes(restored.numpy(), channels=views[0].shape[2], dtype=dtype)

    @torch.no_grad()
    def _restore_batch(
        self,
        images: Tensor,
        treatment: Treatment,
        where: str = "image",
        progress: Progress = ignore_progress,
        *,
        for_8_bits: bool = False,
    ) -> Tensor:
        require_treatable(treatment, self.model.config)
        require_batch(images, self.model.config)
        kind = images.dtype
        images = treatment.before(images)
        for_8_bits = for_8_bits and self._may_lower
        outputs = self._runner(
            images,
            where=where,
            for_8_bits=for_8_bits,
            after=treatment.bytes_per_pixel,
            progress=progress,
        )
        outputs = outputs.clamp_(0, 1)
        if treatment.blends:
            inputs = images[:, : outputs.shape[1]].to(outputs.device, torch.float32).clamp(0, 1)
            outputs = treatment.after(inputs, outputs)
        return outputs.to(images.device, kind)


def _planes_of(views: tuple[AnyArray, ...]) -> Tensor:
    """``(1, C, H, W)``, the channels of all views; those of each alone are gone when it returns."""
    planes = [torch.from_numpy(to_planes(pixels)) for pixels in views]
    return (planes[0] if len(planes) == 1 else torch.cat(planes))[None]
