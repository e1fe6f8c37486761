"""Plots for a page, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, ROW, LABELS, BOTTOM = 760, 34, 190, 26
TICKS = 6


def strip_plot(strips: Mapping[str, Sequence[float]]) -> str:
    """A row for each name: a dot for each value, a bar at the mean. Infinite values are left out.

    Returns:
        An ``<svg>`` element.
    """
    finite = {name: [v for v in values if math.isfinite(v)] for name, values in strips.items()}
    every = [value for values in finite.values() for value in values] or [0.0]
    low, high = min(every), max(every)
    span = (high - low) or 1.0
    height = ROW * len(finite) + BOTTOM

    def x(value: float) -> float:
        return LABELS + 10 + (value - low) / span * (WIDTH - LABELS - 30)

    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" class="plot">']
    for value in _ticks(low, high):
        parts.append(
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="0" y2="{height - BOTTOM}" '
            f'class="grid"/><text x="{x(value):.1f}" y="{height - 8}" class="tick">{value:g}</text>'
        )
    for number, (name, values) in enumerate(finite.items()):
        middle = ROW * number + ROW / 2
        parts.append(f'<text x="{LABELS}" y="{middle + 4:.1f}" class="name">{escape(name)}</text>')
        parts += [
            f'<circle cx="{x(value):.1f}" cy="{middle:.1f}" r="4" class="dot"/>' for value in values
        ]
        if values:
            mean = x(sum(values) / len(values))
            parts.append(
                f'<line x1="{mean:.1f}" x2="{mean:.1f}" y1="{middle - 12:.1f}" '
                f'y2="{middle + 12:.1f}" class="mean"/>'
            )
    return "".join([*parts, "</svg>"])


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others."""
    if high <= low:
        return [low]
    rough = (high - low) / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [round(number * step, 10) for number in range(first, math.floor(high / step) + 1)]
