"""What can be asked for by name: one list each, here, so that the command line needs no torch."""

from __future__ import annotations

from typing import Literal

TaskName = Literal[
    "denoising", "dual-pixel-deblurring", "super-resolution", "low-light", "retouching"
]
ProtocolName = Literal[
    "photo", "sidd", "realsr-x2", "realsr-x3", "realsr-x4", "lol", "fivek", "dpdd"
]
BaselineName = Literal[
    "bm3d", "bm3d-best", "non-local-means", "histogram-equalisation", "clahe", "lime",
    "unsharp-mask", "mean-of-views"
]  # fmt: skip
NetworkName = Literal["mirnet-v2", "mirnet-v1"]
Preset = Literal["paper", "released", "small", "mirnet-v1"]
ExportFormat = Literal["onnx", "openvino", "torch-export", "darktable"]
Layout = Literal["mirnet", "released"]
RecipeName = Literal["paper", "released"]
TableNumber = Literal[7, 8, 9, 10, 11]
"""Of the paper's ablations."""
AblationBudget = Literal["paper", "small"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Arithmetic = Literal["float32", "bfloat16", "float16"]
Precision = Literal["auto", Arithmetic]
Runtime = Literal["auto", "torch", "compiled", "openvino", "onnxruntime"]
Engine = Literal["local", "ray"]
"""What restores a batch: this process, or workers on the nodes of a Ray cluster."""
OutputDepth = Literal["keep", "8", "16", "float"]
FileDepth = Literal["keep", "8", "16"]
"""Of a result that is written for people."""
FileFormat = Literal["keep", "png", "jpg", "tif", "webp", "avif"]
BenchmarkName = Literal[
    "dpdd", "sidd", "dnd", "realsr-x2", "realsr-x3", "realsr-x4", "lol", "fivek"
]
DataSetName = Literal["pairs", "clean", BenchmarkName]
Split = Literal["train", "val", "test"]
