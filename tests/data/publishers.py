"""Tiny data sets, laid out exactly as their publishers distribute them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo

SIZE = (40, 48)
SCENES = ("0001_001_S6_00100_00060_3200_L", "0002_001_IP_00800_01000_5500_N")


def picture(seed: int, dtype: Any = np.uint8, size: tuple[int, int] = SIZE) -> NDArray[Any]:
    """Smooth, so that it compresses and blurs like a photo; its own for each seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]] / 20
    waves = [
        np.sin(rows * a + b) * np.cos(columns * c + b) for a, b, c in rng.uniform(0.5, 3, (3, 3))
    ]
    values = 0.5 + 0.4 * np.stack(waves, axis=-1)
    return (values * np.iinfo(dtype).max).round().astype(dtype)


def worse(pixels: NDArray[Any], seed: int) -> NDArray[Any]:
    top = np.iinfo(pixels.dtype).max
    noise = np.random.default_rng(seed).normal(0, top / 20, pixels.shape)
    return np.clip(pixels + noise, 0, top).astype(pixels.dtype)


def put(path: Path, pixels: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_photo(Photo(pixels=pixels), path)
    return path


def dpdd(root: Path) -> Path:
    """The target's number is one above or one below its source's."""
    top = root / "dd_dp_dataset_canon"
    for start, split in enumerate(("train", "val", "test")):
        for scene in range(3):
            number = 890 + 100 * start + 10 * scene
            clean = picture(number, np.uint16)
            put(top / f"{split}_c" / "target" / f"1P0A{number + (-1) ** scene:04d}.png", clean)
            for seed, view in enumerate("clr"):
                source = top / f"{split}_{view}" / "source" / f"1P0A{number:04d}.png"
                put(source, worse(clean, seed))
    np.save(top / "indoor_labels.npy", np.array([0, 2]))
    np.save(top / "outdoor_labels.npy", np.array([1]))
    return root


def sidd(root: Path) -> Path:
    medium = root / "SIDD_Medium_Srgb"
    for seed, scene in enumerate(SCENES):
        for number in ("010", "011"):
            clean = picture(10 * seed + int(number))
            folder, instance = medium / "Data" / scene, scene[:4]
            put(folder / f"{instance}_GT_SRGB_{number}.PNG", clean)
            put(folder / f"{instance}_NOISY_SRGB_{number}.PNG", worse(clean, seed))
    (medium / "Scene_Instances.txt").write_text("\n".join(SCENES) + "\n")
    clean = np.stack([[picture(100 + 3 * s + b) for b in range(3)] for s in range(2)])
    for name, blocks in (
        ("ValidationGtBlocksSrgb", clean),
        ("ValidationNoisyBlocksSrgb", worse(clean, 0)),
    ):
        savemat(root / f"{name}.mat", {name: blocks}, do_compression=True)
    return root


def dnd(root: Path) -> Path:
    """MATLAB 7.3: axes reversed, cells as references, boxes counted from 1 with both ends in."""
    (root / "images_srgb").mkdir(parents=True)
    boxes = np.array([[1, 1, 16, 20], [11, 9, 40, 48]], float)
    with h5py.File(root / "info.mat", "w") as file:
        references = np.empty((1, 2), dtype=h5py.ref_dtype)
        for scene in range(2):
            cell = file.create_dataset(f"#refs#/{scene}", data=boxes.T)
            references[0, scene] = cell.ref
        file.create_dataset("info/boundingboxes", data=references, dtype=h5py.ref_dtype)
    for scene in range(2):
        noisy = (picture(scene) / 255).astype(np.float32)
        with h5py.File(root / "images_srgb" / f"{scene + 1:04d}.mat", "w") as file:
            file.create_dataset("InoisySRGB", data=noisy.transpose(2, 1, 0))
    return root


def realsr(root: Path, scale: int = 2) -> Path:
    for camera in ("Canon", "Nikon"):
        for start, part in enumerate(("Train", "Test")):
            folder = root / "RealSR(V3)" / camera / part / str(scale)
            for number in range(1, 3):
                clean = picture(number + 10 * start + 100 * (camera == "Canon"))
                put(folder / f"{camera}_{number:03d}_HR.png", clean)
                put(folder / f"{camera}_{number:03d}_LR{scale}.png", worse(clean, number))
    return root


def lol(root: Path) -> Path:
    for start, (part, names) in enumerate((("our485", "259"), ("eval15", "17"))):
        for name in names:
            clean = picture(int(name) + 10 * start)
            put(root / part / "high" / f"{name}.png", clean)
            put(root / part / "low" / f"{name}.png", clean // 8)
    return root


def fivek(root: Path) -> Path:
    for number in (1, 4499, 4500, 4501, 5000):
        name = f"a{number:04d}-jmac_DSC{number:04d}"
        clean = picture(number)
        put(root / "expertC" / f"{name}.png", clean)
        put(root / "input" / f"{name}.png", clean // 2)
    return root
