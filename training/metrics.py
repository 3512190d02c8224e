"""PSNR and SSIM by the protocol: 8-bit rounded pictures, no border crop, Y as MATLAB's rgb2ycbcr or RGB."""

from __future__ import annotations

import cv2
import numpy as np


def luma8(rgb: np.ndarray) -> np.ndarray:
    """8-bit RGB → Y in 16–235, rounded, as MATLAB's rgb2ycbcr gives for uint8."""
    y = rgb.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255 + 16
    return np.floor(y + 0.5)


def to8(x: np.ndarray) -> np.ndarray:
    return np.floor(np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def psnr8(a: np.ndarray, b: np.ndarray) -> float:
    mse = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return float("inf") if mse == 0 else 10 * np.log10(255**2 / mse)


def ssim8(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM of one channel in 0–255: 11×11 Gaussian σ 1.5, valid positions only, no downsampling."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    g = cv2.getGaussianKernel(11, 1.5)

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(x, -1, g, g)[5:-5, 5:-5]

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))))


def score(x: np.ndarray, y: np.ndarray, luma: bool) -> tuple[float, float]:
    """(PSNR in dB, SSIM) of float pictures [h, w, 3] in [0, 1]; RGB SSIM is the mean over the channels."""
    a, b = to8(x), to8(y)
    if luma:
        a, b = luma8(a), luma8(b)
        return psnr8(a, b), ssim8(a, b)
    return psnr8(a, b), float(np.mean([ssim8(a[..., i], b[..., i]) for i in range(3)]))
