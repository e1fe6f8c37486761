"""What a restoration can be asked for by name. Here, so that the command line needs no torch."""

from __future__ import annotations

from typing import Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
Arithmetic = Literal["float32", "bfloat16", "float16"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
OutputDepth = Literal["keep", "8", "16", "float"]
