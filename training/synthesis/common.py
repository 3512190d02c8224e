"""What the three degradations share: noise, depth, JPEG, PSNR, and the contact sheet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator


def round8(x: np.ndarray) -> np.ndarray:
    """What an 8-bit file would hold, as float32 in [0, 1]."""
    return np.round(np.clip(x, 0, 1) * 255).astype(np.float32) / 255


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """PSNR in dB of pictures in [0, 1], over all channels."""
    d = a - b
    return float(-10 * np.log10(max(float(np.mean(d * d)), 1e-10)))


def jpeg(x: np.ndarray, quality: int) -> np.ndarray:
    """The picture after one JPEG encoding at `quality`."""
    bgr = np.round(np.clip(x[..., ::-1], 0, 1) * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255


def smooth_noise(rng: Generator, h: int, w: int, octaves: int = 3, base: int = 3) -> np.ndarray:
    """Fractal noise in [0, 1]: enlarged random grids, each octave half as strong."""
    total = np.zeros((h, w), np.float32)
    for o in range(octaves):
        n = base * 2**o
        grid = rng.random((n, n)).astype(np.float32)
        total += cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC) * 0.5**o
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def depth_map(rng: Generator, h: int, w: int) -> np.ndarray:
    """A plausible depth in [0, 1] where none is known: a plane (far is mostly up) plus fractal noise."""
    angle = rng.normal(0, 0.5)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    plane = (h - y) / h * np.cos(angle) + x / w * np.sin(angle)
    low, high = float(plane.min()), float(plane.max())
    plane = ((plane - low) / max(high - low, 1e-6)) ** rng.uniform(0.5, 2.0)
    mix = rng.uniform(0.1, 0.6)
    return (1 - mix) * plane + mix * smooth_noise(rng, h, w)


def sheet_main(name: str, degrade: Callable[[np.ndarray, Generator, str], np.ndarray], kinds: Sequence[str]) -> int:
    """The contact-sheet command, and its exit code: each row one photo, clean first, then draws of every kind."""
    from training.data import DataError, list_images, read_image

    p = argparse.ArgumentParser(prog=f"python -m training.synthesis.{name}")
    p.add_argument("--sheet", type=Path, required=True, help="the PNG or JPEG to write")
    p.add_argument("--data", type=Path, default=Path("data"))
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--rows", type=int, default=6)
    p.add_argument("--draws", type=int, default=2, help="draws of each kind a row")
    p.add_argument("--side", type=int, default=224)
    args = p.parse_args()
    rng = np.random.default_rng(args.seed)
    rows = []
    try:
        files = list_images(args.data / "train-clean")
        images = [read_image(files[i]) for i in rng.choice(len(files), min(args.rows, len(files)), replace=False)]
    except DataError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    for image in images:
        scale = args.side * 1.4 / min(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        y, x = (int(rng.integers(n - args.side + 1)) for n in small.shape[:2])
        clean = small[y : y + args.side, x : x + args.side].astype(np.float32) / 255
        cells = [clean] + [degrade(clean, rng, kind) for kind in kinds for _ in range(args.draws)]
        rows.append(np.concatenate([np.pad(c, ((2, 2), (2, 2), (0, 0)), constant_values=1) for c in cells], 1))
    sheet = np.round(np.concatenate(rows) * 255).astype(np.uint8)[..., ::-1]
    if not cv2.imwrite(str(args.sheet), sheet):
        print(f"{name}: cannot write {args.sheet}", file=sys.stderr)
        return 2
    return 0
