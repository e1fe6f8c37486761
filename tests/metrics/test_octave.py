"""A third oracle: Octave's package image, and SSIM written in MATLAB's language."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mirnet.imaging.color import rgb_to_y
from mirnet.imaging.io import read_photo
from mirnet.metrics.psnr import psnr
from mirnet.metrics.ssim import ssim_volume, ssim_wang
from tests.octave import needs_image_package, octave

GOLDEN = Path(__file__).parent.parent / "golden" / "metrics"

SCRIPT = """
pkg load image
load('{source}');
a = double(output); b = double(target);
result.psnr = psnr(output, target);
ya = rgb2ycbcr(output)(:, :, 1); yb = rgb2ycbcr(target)(:, :, 1);
result.y = yb;
result.y_psnr = psnr(ya, yb);

w = fspecial('gaussian', 11, 1.5);
c1 = (0.01 * 255) ^ 2; c2 = (0.03 * 255) ^ 2;
x = double(ya); y = double(yb);
m = @(v) conv2(v, w, 'valid');
mx = m(x); my = m(y);
sx = m(x .^ 2) - mx .^ 2; sy = m(y .^ 2) - my .^ 2; sxy = m(x .* y) - mx .* my;
map = ((2 * mx .* my + c1) .* (2 * sxy + c2)) ./ ((mx .^ 2 + my .^ 2 + c1) .* (sx + sy + c2));
result.y_ssim = mean(map(:));

[i, j, k] = ndgrid(-5:5);
g = exp(-(i .^ 2 + j .^ 2 + k .^ 2) / (2 * 1.5 ^ 2)); g = g / sum(g(:));
m = @(v) convn(padarray(v, [5 5 5], 'replicate'), g, 'valid');
mx = m(a); my = m(b);
sx = m(a .^ 2) - mx .^ 2; sy = m(b .^ 2) - my .^ 2; sxy = m(a .* b) - mx .* my;
map = ((2 * mx .* my + c1) .* (2 * sxy + c2)) ./ ((mx .^ 2 + my .^ 2 + c1) .* (sx + sy + c2));
result.ssim = mean(map(:));
save('-v6', '{target}', '-struct', 'result');
"""


@needs_image_package
@pytest.mark.parametrize("number", [0, 3])
def test_octave_agrees(number: int, tmp_path: Path) -> None:
    import torch

    pixels = {
        name: read_photo(GOLDEN / f"{number}_{name}.png").pixels[:96, :112]
        for name in ("output", "target")
    }
    savemat(tmp_path / "in.mat", pixels)
    octave(SCRIPT.format(source=tmp_path / "in.mat", target=tmp_path / "out.mat"))
    found = loadmat(tmp_path / "out.mat")
    output, target = (
        torch.from_numpy(pixels[name].astype(np.float64)).permute(2, 0, 1)[None]
        for name in ("output", "target")
    )
    y_output, y_target = rgb_to_y(output / 255), rgb_to_y(target / 255)
    assert np.array_equal(y_target[0, 0].numpy(), found["y"])
    for name, value, precision in (
        ("psnr", psnr(output, target, data_range=255), 1e-5),
        ("y_psnr", psnr(y_output, y_target, data_range=255), 1e-5),
        ("y_ssim", ssim_wang(y_output, y_target, data_range=255), 1e-6),
        ("ssim", ssim_volume(output, target, data_range=255), 1e-6),
    ):
        assert value.item() == pytest.approx(found[name].item(), abs=precision), name
