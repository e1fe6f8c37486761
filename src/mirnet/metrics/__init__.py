"""How close a restored image is to its target.

`psnr`, `ssim` and `mae` are functions ``(N, C, H, W), (N, C, H, W) → (N,)`` that know nothing of
benchmarks. `protocol` says which of them, on which pixels, a benchmark means by its "PSNR".
"""
