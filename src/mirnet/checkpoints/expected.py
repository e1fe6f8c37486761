"""What is usual for photos and results of weights, by the task that they are for.

The bounds were set beside the pairs of `data/`: the inputs and targets that each task's network
learnt from and is validated on. The largest honest value stands with each bound, where it isn't
the bound that a network needs for another reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from mirnet.choices import TaskName


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is usual; each bound may be missing.

    Attributes:
        brightest: the mean luma above which a photo is no case for it, of values in [0, 1].
        darkest: the mean luma below which another task should come first.
        quietest: the noise below which there is nothing to do, as a deviation in 1/255.
        noisiest: the noise above which another task should come first, in 1/255.
        apart: the most that the luma of two views differs, on the mean, of values in [0, 1].
        shift: the most that the mean of a channel changes.
        tint: the most that the changes of the channels' means lie apart.
        saturated: the largest share of pixels that become white and were not.
        burnt: the largest share of what is well lit in a photo that becomes white and was not.
        is_fine_in_bfloat16: whether what bfloat16 changes in a result disappears in the rounding
            to 8 bits: 60 dB and more to float32.
    """

    brightest: float | None = None
    darkest: float | None = None
    quietest: float | None = None
    noisiest: float | None = None
    apart: float | None = None
    shift: float | None = None
    tint: float | None = None
    saturated: float | None = None
    burnt: float | None = None
    is_fine_in_bfloat16: bool = False


EXPECTED: dict[TaskName, Expected] = {
    # In bfloat16, on CPUs: denoising is at 64.4 dB to float32, super-resolution at 64.9, low light
    # at 54.5, retouching at the edge: 59.1 and 60.2.
    "denoising": Expected(quietest=0.6, shift=0.06, saturated=0.02, is_fine_in_bfloat16=True),
    # Of 15 pairs, views differ by 0.012 to 0.025, and pictures of other things by 0.18 and more.
    # Targets move a channel by 0.023 at most, and have 0.039 more white. Noise has no bound: in
    # the result there is half as much as in a view.
    "dual-pixel-deblurring": Expected(apart=0.06, shift=0.05, saturated=0.06),
    # Enlarged twice, noise stays as strong as cubic interpolation leaves it.
    "super-resolution": Expected(
        noisiest=6.0, shift=0.05, saturated=0.03, is_fine_in_bfloat16=True
    ),
    # Of 511 pairs, targets move a channel by 0.69 at most, channels apart by 0.20, and have 0.12
    # more white. Noise becomes three times as strong. What is well lit in a photo becomes white in
    # LoL's own targets, so the weights do that, too: 0.27 of it at most in the results of `val`,
    # 0.36 to 1 in 23 pictures of something well lit before black.
    "low-light": Expected(
        noisiest=6.0, brightest=0.25, shift=0.75, tint=0.25, saturated=0.2, burnt=0.35
    ),
    # Of 13 pairs, inputs have a mean of 0.22 to 0.54 and noise of 3.5 at most, targets move a
    # channel by 0.24 and channels apart by 0.14. Thirteen are few, so the margins are wide. Noise
    # becomes 1.2 times as strong. Photos brightened to a mean of 0.6 came out with 3 % more white
    # (7 % the worst of five), to 0.7 with 9 % (31 %).
    "retouching": Expected(
        noisiest=8.0, brightest=0.65, darkest=0.1, shift=0.3, tint=0.2, saturated=0.2
    ),
}


def expected_for(task: str | None) -> Expected:
    """What is usual for weights that are for a task; no bounds if it is not known."""
    return next((bounds for name, bounds in EXPECTED.items() if name == task), Expected())
