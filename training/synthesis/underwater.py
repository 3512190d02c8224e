"""Underwater light over clean photos: U = A·J·t + A·(1 − t), by the Jerlov water types.

t = N^(z·d) attenuates what is seen through z·d metres of water, A ∝ N^k is the light left at the depth, with N the
transmission per metre of R, G and B. Depth maps are planes plus fractal noise, since none is known.

    python -m training.synthesis.underwater --sheet underwater.png
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.random import Generator

from training.synthesis.common import depth_map, jpeg, round8, sheet_main, smooth_noise

KINDS = ("light", "heavy", "mixed", "clean")

# Transmission per metre, R G B
JERLOV = {
    "I": (0.85, 0.961, 0.982), "IA": (0.84, 0.955, 0.975), "IB": (0.83, 0.95, 0.968), "II": (0.80, 0.925, 0.94),
    "III": (0.75, 0.885, 0.89), "1": (0.75, 0.885, 0.875), "3": (0.71, 0.82, 0.80), "5": (0.67, 0.73, 0.67),
    "7": (0.62, 0.61, 0.50), "9": (0.55, 0.46, 0.29),
}
WATERS = tuple(JERLOV)
# How often each type is drawn: harbours as brown as 7 and 9 are rare in photos
OFTEN = {
    "light": (0.15, 0.15, 0.15, 0.20, 0.15, 0.20, 0, 0, 0, 0),
    "heavy": (0.05, 0.05, 0.10, 0.16, 0.16, 0.16, 0.16, 0.10, 0.04, 0.02),
    "mixed": (0.10, 0.10, 0.12, 0.14, 0.12, 0.14, 0.13, 0.10, 0.03, 0.02),
}


def degrade(clean: np.ndarray, rng: Generator, kind: str) -> np.ndarray:
    """clean [h, w, 3] float32 in [0, 1] → the same scene under water, rounded to 8 bits.

    kind: 'light' (clear water, near), 'heavy' (murkier or farther), 'mixed' (any, with blur, noise and JPEG), 'clean'.
    """
    if kind == "clean":
        return clean
    h, w = clean.shape[:2]
    n = np.float32(JERLOV[WATERS[int(rng.choice(10, p=OFTEN[kind]))]])
    n = n ** np.float32(1 + rng.normal(0, 0.12, 3)).clip(0.6, 1.5)  # no sea is one of ten
    distance = np.exp(rng.uniform(*np.log({"light": (0.5, 5), "heavy": (2, 12), "mixed": (0.5, 12)}[kind])))
    distance = min(distance, np.log(0.2) / np.log(float(n.max())))  # beyond, nothing is left to restore
    k = rng.uniform(3, 10) if n[0] > 0.7 else rng.uniform(3, 5)
    ambient = n ** (k * (0.5 if kind == "light" else 1.0))
    # a camera exposes for what it sees, so the light left at the depth keeps its colour, not its darkness
    ambient = ambient / ambient.max() * rng.uniform(0.4, 0.95)
    z = 0.15 + 0.85 * depth_map(rng, h, w)
    t = n ** (z * distance)[..., None]
    t = np.maximum(t, np.float32(0.06))
    out = ambient * clean * t + ambient * (1 - t)
    if rng.random() < 0.3:  # light falls unevenly through the surface
        out = out * (0.8 + 0.35 * smooth_noise(rng, h, w))[..., None]
    if rng.random() < (0.5 if kind == "mixed" else 0.2):  # forward scattering softens what is far
        soft = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 1.8))
        far = np.clip(z, 0, 1)[..., None]
        out = out * (1 - far) + soft * far
    if kind == "mixed":
        if rng.random() < 0.5:
            out = out + rng.standard_normal(out.shape) * rng.uniform(0.002, 0.02)
        if rng.random() < 0.6:
            out = jpeg(out, int(rng.integers(60, 98)))
    return round8(out.astype(np.float32))


def draw_kind(rng: Generator) -> str:
    """Enough clean pictures that blue skies, aquaria and coloured light stay as they are."""
    return str(rng.choice(KINDS, p=(0.26, 0.30, 0.28, 0.16)))


if __name__ == "__main__":
    sys.exit(sheet_main("underwater", degrade, ("light", "heavy", "mixed")))
