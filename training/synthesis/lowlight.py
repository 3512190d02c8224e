"""Low light over clean photos: a darkening curve with its noise, or the camera's own pipeline run backwards.

'curve' is β(αI)^γ with signal-dependent and constant noise (AGLLNet's ranges); 'camera' linearises, divides by
white-balance gains, scales exposure, adds shot and read noise as a sensor does, and comes back (MAET's ranges).

    python -m training.synthesis.lowlight --sheet lowlight.png
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.random import Generator

from training.synthesis.common import jpeg, round8, sheet_main, smooth_noise

KINDS = ("light", "heavy", "mixed", "clean")


def curve(clean: np.ndarray, rng: Generator, dark: float, noise: float = 1.0) -> np.ndarray:
    """`dark` in [0, 1] walks from a dim picture to a nearly black one; `noise` scales the drawn noise."""
    gamma = 1.5 + 3.0 * dark * rng.uniform(0.6, 1.0)
    x = rng.uniform(0.5, 1.0) * (rng.uniform(0.9, 1.0) * clean) ** gamma
    signal, constant = rng.uniform(0, 0.12) * (0.3 + dark), rng.uniform(0, 0.02) * (0.3 + dark)
    grain = rng.standard_normal(clean.shape).astype(np.float32)
    return x + noise * grain * np.sqrt(signal**2 * x + constant**2)


def camera(clean: np.ndarray, rng: Generator, dark: float, noise: float = 1.0) -> np.ndarray:
    """sRGB → linear sensor values, less light, shot and read noise, → sRGB as the camera would write it."""
    linear = np.where(clean <= 0.04045, clean / 12.92, ((clean + 0.055) / 1.055) ** 2.4)
    gains = np.float32([rng.uniform(1.5, 2.4), 1.0, rng.uniform(1.4, 2.1)])
    exposure = np.exp(rng.uniform(np.log(0.22), np.log(0.4)) - rng.uniform(1.8, 2.6) * dark)
    raw = linear / gains * exposure
    shot = rng.uniform(np.log(1e-4), np.log(0.012))
    read = 2.18 * shot + 1.20 + rng.normal(0, 0.26)
    # the brighter half of the range would bury a picture that must still be restored
    variance = (np.exp(shot) * raw + np.exp(read)) * rng.uniform(0.02, 0.25)
    raw = np.clip(raw + noise * rng.standard_normal(raw.shape).astype(np.float32) * np.sqrt(variance), 0, 1)
    if rng.random() < 0.6:  # the camera's own denoiser leaves blotches
        k = rng.uniform(0.4, 1.0)
        raw = cv2.GaussianBlur(raw, (0, 0), k)
    x = raw * gains * np.float32(1 + rng.normal(0, 0.05, 3))  # white balance not quite met
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.clip(x, 0, None) ** (1 / 2.4) - 0.055)


def degrade(clean: np.ndarray, rng: Generator, kind: str, noise: float = 1.0) -> np.ndarray:
    """clean [h, w, 3] float32 in [0, 1] → the same picture taken with too little light, rounded to 8 bits.

    kind: 'light' (dim), 'heavy' (inputs mostly under 10 dB), 'mixed' (any darkness, uneven light, JPEG), 'clean'.
    noise: how much of the drawn noise is added; 0 is a dark picture without any.
    """
    if kind == "clean":
        return clean
    low, high = {"light": (0.0, 0.35), "heavy": (0.45, 1.0), "mixed": (0.0, 1.0)}[kind]
    dark = rng.uniform(low, high)
    out = (curve if rng.random() < 0.4 else camera)(clean, rng, dark, noise)
    if kind == "mixed":
        if rng.random() < 0.6:  # lamps and windows: light is uneven
            h, w = clean.shape[:2]
            out = out * (0.3 + 0.9 * smooth_noise(rng, h, w, 2, 2))[..., None]
        if rng.random() < 0.6:
            out = jpeg(out, int(rng.integers(60, 98)))
    return round8(out.astype(np.float32))


def draw_kind(rng: Generator) -> str:
    """Enough clean pictures that a bright photo, and a night meant to be dark, stay as they are."""
    return str(rng.choice(KINDS, p=(0.25, 0.37, 0.20, 0.18)))


if __name__ == "__main__":
    sys.exit(sheet_main("lowlight", degrade, ("light", "heavy", "mixed")))
