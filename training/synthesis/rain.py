"""Rain over clean photos: streak layers rendered from sparse points, veil, JPEG; every draw from one seed.

A layer is `points ⊛ kernel` summed over a few kernels, computed by FFT and therefore periodic. Dense Gaussian
points and one kernel give the noise-and-motion-blur family (Rain13K's sources, DDN, DID-MDN); sparse points of
exponential brightness and several kernels of scattered angle give drawn streaks (Rain100L/H, real near rain).
A pre-rendered bank of layers keeps all that off the training loop's critical path.

    python -m training.synthesis.rain --sheet rain.png
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from training.synthesis.common import depth_map, jpeg, psnr, round8, sheet_main, smooth_noise

# 'heavy', 'light', 'mixed' and 'clean' are the validation sets too; 'downpour' and 'veiled' are of training alone
KINDS = ("heavy", "light", "mixed", "clean", "downpour", "veiled")
BANK_VERSION = 1


def streak_kernel(rng: Generator, side: int, length: float, width: float, angle: float, soft: float) -> np.ndarray:
    """A line of `length` px, Gaussian across (σ = width/2.355), ends softened over `soft` of it; centred at 0, 0."""
    axis = np.fft.fftfreq(side, 1 / side).astype(np.float32)
    y, x = axis[:, None], axis[None, :]
    s, c = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    along, across = x * s + y * c, x * c - y * s  # angle 0 falls straight down
    sigma = max(width / 2.355, 0.3)
    profile = np.exp(-0.5 * (across / sigma) ** 2)
    edge = max(soft * length / 2, 0.7)
    ends = np.clip((length / 2 - np.abs(along)) / edge + 0.5, 0, 1)
    if rng.random() < 0.3:  # brighter at one end, as a drop seen through a shutter that closes
        ends = ends * np.clip(0.65 + rng.uniform(-0.6, 0.6) * along / length, 0, 1)
    return profile * ends


def render_layer(rng: Generator, side: int, angle: float) -> np.ndarray:
    """One streak layer [side, side], float32 in [0, 1], periodic in both directions."""
    family = rng.choice(("noise", "drawn", "long", "near", "drizzle"), p=(0.34, 0.26, 0.22, 0.08, 0.10))
    if family == "noise":
        length = float(np.exp(rng.uniform(np.log(8), np.log(60))))
        field = rng.standard_normal((side, side)).astype(np.float32)
        if rng.random() < 0.35:  # thicker: the noise was made small and enlarged
            small = int(side / rng.uniform(1.2, 2.2))
            field = cv2.resize(rng.standard_normal((small, small)).astype(np.float32), (side, side))
        if rng.random() < 0.4:  # salt: a thresholded noise gives separate streaks
            field = (field > np.quantile(field, rng.uniform(0.85, 0.995))).astype(np.float32)
        kernel = streak_kernel(rng, side, length, rng.uniform(0.4, 1.8), angle, rng.uniform(0, 1))
        layer = np.fft.irfft2(np.fft.rfft2(field) * np.fft.rfft2(kernel), s=(side, side))
        low = np.quantile(layer, rng.uniform(0.3, 0.9))
    else:
        lengths, widths, counts, scatter = {
            "drawn": ((8, 45), (0.5, 2.0), (2e-4, 4e-3), 4),
            "long": ((25, 110), (0.4, 1.7), (1e-4, 1.5e-3), 2),
            "near": ((40, 160), (2.0, 7.0), (1e-5, 1.2e-4), 3),
            "drizzle": ((3, 12), (0.4, 1.2), (2e-3, 1.5e-2), 8),
        }[family]
        length = np.exp(rng.uniform(*np.log(lengths)))
        width = rng.uniform(*widths)
        density = np.exp(rng.uniform(*np.log(counts)))
        soft, tail = rng.uniform(0, 1), rng.uniform(0.6, 3.0)
        total = np.zeros((side, side // 2 + 1), np.complex64)
        for _ in range(int(rng.integers(2, 6))):
            n = max(int(rng.poisson(density * side * side / 3)), 1)
            points = np.zeros((side, side), np.float32)
            points[rng.integers(0, side, n), rng.integers(0, side, n)] = rng.exponential(1, n) ** tail + 0.05
            kernel = streak_kernel(
                rng, side, length * rng.uniform(0.6, 1.5), width * rng.uniform(0.7, 1.4),
                angle + rng.normal(0, scatter), soft,
            )
            total += np.fft.rfft2(points) * np.fft.rfft2(kernel)
        layer = np.fft.irfft2(total, s=(side, side))
        low = 0.0
    layer = np.clip(layer - low, 0, None)
    bright = layer[layer > 0]
    top = np.quantile(bright, rng.uniform(0.97, 0.999)) if bright.size else 1.0
    return np.clip(layer / max(top, 1e-6), 0, 1).astype(np.float32) ** rng.uniform(0.8, 1.5)


class Bank:
    """Layers sorted by angle, as uint8 [n, side, side]; cut at random, mirrored, scaled."""

    def __init__(self, layers: np.ndarray, angles: np.ndarray):
        self.layers, self.angles = layers, angles

    def cut(self, rng: Generator, h: int, w: int, angle: float, grain: float = 1.0) -> np.ndarray:
        """A float32 [h, w] piece of a layer whose streaks lean about `angle` degrees, enlarged by `grain`."""
        flip = angle < 0
        near = int(np.searchsorted(self.angles, abs(angle)))
        i = int(np.clip(near + rng.integers(-12, 13), 0, len(self.layers) - 1))
        side = self.layers.shape[1]
        scale = rng.uniform(0.75, 1.35) * grain
        sh, sw = int(np.ceil(h / scale)), int(np.ceil(w / scale))
        ys = (int(rng.integers(side)) + np.arange(sh)) % side
        xs = (int(rng.integers(side)) + np.arange(sw)) % side
        piece = self.layers[i][ys[:, None], xs[None, :]]
        piece = cv2.resize(piece, (w, h), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        if rng.random() < 0.5:
            piece = piece[::-1, ::-1]  # a half turn keeps the angle
        return piece[:, ::-1] if flip else piece


def create_bank(seed: int, layers: int = 900, side: int = 384, cache: Path | None = None) -> Bank:
    """Renders (or reads from `cache`) a bank; seeds of training and validation banks must differ."""
    angles = np.sort(np.abs(np.random.default_rng([seed, 1]).triangular(-60, 0, 60, layers)))
    path = cache / f"rain-bank-v{BANK_VERSION}-{seed}-{layers}x{side}.npy" if cache else None
    if path and path.exists():
        return Bank(np.load(path, mmap_mode="r"), angles)
    out = np.empty((layers, side, side), np.uint8)
    for i, angle in enumerate(angles):
        out[i] = np.round(render_layer(np.random.default_rng([seed, 2, i]), side, float(angle)) * 255)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(f".{os.getpid()}.npy")  # several trainings may begin at once
        np.save(whole, out)
        whole.replace(path)
    return Bank(out, angles)


def streaks(rng: Generator, bank: Bank, h: int, w: int, heavy: bool, grain: float = 1.0) -> np.ndarray:
    """Layers of one image summed: mostly one direction with scatter, heavy rain with up to five crossing ones.

    `grain` enlarges the streaks, for photos that are larger than those the bank was made for.
    """
    main = float(rng.triangular(-60, 0, 60))
    crossing = rng.random() < (0.45 if heavy else 0.15)
    n = int(rng.integers(2, 6)) if heavy else int(rng.integers(1, 4))
    total = np.zeros((h, w), np.float32)
    for i in range(n):
        angle = float(rng.uniform(-60, 60)) if crossing and i else main + float(rng.normal(0, 3))
        total += bank.cut(rng, h, w, float(np.clip(angle, -60, 60)), grain) * rng.uniform(0.25, 1.0)
    if rng.random() < 0.12:  # streaks out of focus
        total = cv2.GaussianBlur(total, (0, 0), rng.uniform(0.5, 1.5) * grain)
    if rng.random() < 0.25:  # rain is never even over a picture
        total *= 0.35 + 0.65 * smooth_noise(rng, h, w)
    return total


@dataclass(frozen=True)
class Blend:
    """How streaks meet the picture: 'add' clips B + aS, 'screen' is B + aS − aSB, 'alpha' mixes towards a grey."""

    mode: str
    grey: np.ndarray

    def __call__(self, clean: np.ndarray, s: np.ndarray, a: float) -> np.ndarray:
        t = (a * s)[..., None]
        if self.mode == "add":
            return np.clip(clean + t, 0, 1)
        t = np.clip(t, 0, 1)
        if self.mode == "screen":
            return clean + t - t * clean
        return clean * (1 - t) + t * self.grey


def to_psnr(clean: np.ndarray, s: np.ndarray, blend: Blend, target: float, stride: int = 1) -> np.ndarray:
    """The blend at the streak amplitude whose PSNR against the clean picture is `target` dB (or the nearest), judged at every `stride`th pixel."""
    few, layer = clean[::stride, ::stride], s[::stride, ::stride]
    low, high = 0.0, 4.0
    for _ in range(9):
        mid = (low + high) / 2
        if psnr(blend(few, layer, mid), few) > target:
            low = mid
        else:
            high = mid
    return blend(clean, s, (low + high) / 2)


# dB over RGB, about 1.3 more on Y
TARGETS = {"heavy": (9.5, 16), "light": (18, 34), "mixed": (16, 30), "downpour": (7.5, 14), "veiled": (14, 28)}


def veil(rng: Generator, clean: np.ndarray, density: tuple[float, float], airlight: tuple[float, float]) -> np.ndarray:
    """What haze of some density, growing with a made-up depth, leaves of the picture."""
    t = np.exp(-rng.uniform(*density) * depth_map(rng, *clean.shape[:2]))[..., None]
    return clean * t + np.float32(rng.uniform(*airlight)) * (1 - t)


def degrade(clean: np.ndarray, rng: Generator, bank: Bank, kind: str, grain: float = 1.0, stride: int = 1) -> np.ndarray:
    """clean [h, w, 3] float32 in [0, 1] → the same picture in rain, rounded to 8 bits.

    kind: 'heavy' and 'light' are streaks alone, 'mixed' has veil, JPEG or both besides, 'downpour' is heavier than 'heavy',
    'veiled' lies behind dense veil, 'clean'; the strengths are TARGETS. `grain` enlarges the streaks.
    """
    if kind == "clean":
        return clean
    h, w = clean.shape[:2]
    heavy = kind in ("heavy", "downpour")
    s = streaks(rng, bank, h, w, heavy or (kind in ("mixed", "veiled") and rng.random() < 0.5), grain)
    mode = str(rng.choice(("add", "screen", "alpha"), p=(0.5, 0.35, 0.15)))
    grey = np.float32(rng.uniform(0.6, 1.0) + rng.normal(0, 0.015, 3))
    blend, aim = Blend(mode, grey), rng.uniform(*TARGETS[kind])
    for _ in range(4):  # sparse layers cannot be made heavy by brightness alone
        if psnr(blend(clean[::stride, ::stride], s[::stride, ::stride], 2.0), clean[::stride, ::stride]) <= aim:
            break
        s = s + streaks(rng, bank, h, w, True, grain)
    out = to_psnr(clean, s, blend, aim, stride)
    if kind == "mixed":
        effects = rng.random(2) < (0.6, 0.6)
        if not effects.any():
            effects[int(rng.integers(2))] = True
        if effects[0]:
            out = veil(rng, out, (0.1, 1.2), (0.5, 0.95))
        if effects[1]:
            out = jpeg(out, int(rng.integers(60, 98)))
    elif kind == "veiled":
        out = veil(rng, out, (0.6, 2.2), (0.45, 0.95))
    return round8(out)


def draw_kind(rng: Generator) -> str:
    """The training mix: mostly heavy and light, enough clean pictures that a clean photo stays as it is."""
    return str(rng.choice(KINDS, p=(0.28, 0.35, 0.10, 0.11, 0.10, 0.06)))


def main() -> int:
    bank = create_bank(7, layers=160)
    return sheet_main("rain", lambda clean, rng, kind: degrade(clean, rng, bank, kind), ("light", "heavy", "downpour", "mixed", "veiled"))


if __name__ == "__main__":
    sys.exit(main())
