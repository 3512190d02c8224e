"""What looks degraded and is not: pictures that the classifier must leave alone.

Photos of nights meant to be dark, of snow, fences, blue skies and coloured light, and drawings, screens, figures and scans,
made of nothing but a seed.

    python -m training.synthesis.negatives --sheet negatives.png
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from training.synthesis.common import jpeg, round8, sheet_main, smooth_noise

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_PLAIN)
LETTERS = np.array(list("eeeeetttaaaooiinnsshhrrddllccuummwwffggyyppbbvk"))


def night(clean: np.ndarray, rng: Generator) -> np.ndarray:
    """A night as its photographer wanted it: black nearly everywhere, some places lit as by day, no noise."""
    h, w = clean.shape[:2]
    lit = smooth_noise(rng, h, w, 3, int(rng.integers(2, 5))) ** rng.uniform(2.5, 6)
    lit = np.clip(lit * rng.uniform(1.2, 3.0), 0, 1)[..., None]
    tint = np.float32([1, rng.uniform(0.75, 1.0), rng.uniform(0.5, 1.05)])
    out = clean * tint * (rng.uniform(0.0, 0.06) + lit)
    for _ in range(int(rng.integers(0, 14))):  # lamps and their glow
        y, x = int(rng.integers(h)), int(rng.integers(w))
        radius = rng.uniform(1, 0.02 * max(h, w) + 2)
        cv2.circle(out, (x, y), max(1, int(radius)), (tint * rng.uniform(0.8, 1.0)).tolist(), -1)
    if rng.random() < 0.6:
        out = np.maximum(out, cv2.GaussianBlur(out, (0, 0), rng.uniform(4, 14)) * rng.uniform(0.6, 1.2))
    return out


def snow(clean: np.ndarray, rng: Generator) -> np.ndarray:
    """Flakes: bright and round, sharp or out of focus, of no direction."""
    h, w = clean.shape[:2]
    layer = np.zeros((h, w), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        points = (rng.random((h, w)) < np.exp(rng.uniform(np.log(5e-5), np.log(4e-3)))).astype(np.float32) * rng.uniform(0.5, 1.0)
        size = rng.uniform(0.6, 5.0)
        flakes = cv2.GaussianBlur(points, (0, 0), size) * (2 * np.pi * size * size)
        layer = np.maximum(layer, np.clip(flakes * rng.uniform(0.5, 1.5), 0, rng.uniform(0.5, 1.0)))
    ground = rng.uniform(0, 0.6) * (clean.mean(2) > 0.5)
    base = clean + (1 - clean) * ground[..., None] * 0.6
    return base + (np.float32(rng.uniform(0.85, 1.0)) - base) * layer[..., None]


def fence(clean: np.ndarray, rng: Generator) -> np.ndarray:
    """Bars, wires or slats before the scene, at equal distances."""
    h, w = clean.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    out = clean
    for angle in rng.choice((0, 90, 45, -45, 15, -20), 1 if rng.random() < 0.6 else 2, replace=False):
        a = np.deg2rad(angle + rng.normal(0, 3))
        period = rng.uniform(5, 60)
        across = (x * np.cos(a) + y * np.sin(a) + rng.uniform(0, 9) * (y / h) ** 2) % period
        width = max(1.0, period * rng.uniform(0.06, 0.4))
        bar = np.clip(np.minimum(across, width - across) + 0.5, 0, 1)
        shade = 0.8 + 0.2 * np.sin(np.clip(across / width, 0, 1) * np.pi)
        colour = np.float32(rng.uniform(0.02, 0.95) + rng.normal(0, 0.04, 3))
        out = out * (1 - bar[..., None]) + colour * (shade * bar)[..., None]
    return out


def sky(clean: np.ndarray, rng: Generator) -> np.ndarray:
    """Open sky over most of the picture, clear or with clouds, down to the sea's horizon in some."""
    h, w = clean.shape[:2]
    down = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    high = np.float32([rng.uniform(0.02, 0.35), rng.uniform(0.25, 0.55), rng.uniform(0.5, 0.95)])
    low = high + (np.float32([0.75, 0.88, 0.97]) - high) * rng.uniform(0.2, 1.0)
    picture = high * (1 - down) + low * down + np.zeros_like(clean)
    if rng.random() < 0.7:
        clouds = np.clip(smooth_noise(rng, h, w, 5, 3) * rng.uniform(1.2, 2.5) - rng.uniform(0.5, 1.2), 0, 1)[..., None]
        picture = picture * (1 - clouds) + clouds * rng.uniform(0.8, 1.0)
    land = int(h * rng.uniform(0.4, 1.0))
    picture[land:] = clean[: h - land]
    if rng.random() < 0.3:
        sea = np.float32([rng.uniform(0, 0.15), rng.uniform(0.15, 0.45), rng.uniform(0.35, 0.6)])
        picture[land:] = sea * (0.7 + 0.5 * smooth_noise(rng, h - land, w, 6, 8)[..., None]) if h - land > 8 else sea
    return picture + rng.normal(0, 0.004, clean.shape)


def coloured(clean: np.ndarray, rng: Generator) -> np.ndarray:
    """Another white balance, more or less colour, tone or exposure: a taste, not a fault."""
    out = np.clip(clean, 0, 1) ** np.exp(rng.normal(0, 0.18))
    out = out * np.float32(np.exp(rng.normal(0, 0.10, 3)))
    grey = out.mean(2, keepdims=True)
    out = grey + (out - grey) * (0.0 if rng.random() < 0.12 else np.exp(rng.normal(0.1, 0.35)))
    low, high = rng.uniform(0, 0.08), rng.uniform(0.88, 1.08)
    return low + (high - low) * out


def aquarium(clean: np.ndarray, rng: Generator) -> np.ndarray:
    """Clear water behind glass: a blue ground, and before it colours that nothing has taken away."""
    h, w = clean.shape[:2]
    water = np.float32([rng.uniform(0, 0.15), rng.uniform(0.1, 0.5), rng.uniform(0.45, 0.95)])
    water = water * (0.4 + 0.6 * smooth_noise(rng, h, w, 2, 2)[..., None])
    near = np.clip((smooth_noise(rng, h, w, 3, 3) - rng.uniform(0.3, 0.55)) * rng.uniform(6, 20), 0, 1)[..., None]
    vivid = clean.mean(2, keepdims=True) + (clean - clean.mean(2, keepdims=True)) * rng.uniform(1.0, 1.6)
    return water * (1 - near) + vivid * near


PHOTOS: dict[str, Callable[[np.ndarray, Generator], np.ndarray]] = {
    "night": night, "snow": snow, "fence": fence, "sky": sky, "coloured": coloured, "aquarium": aquarium,
}


def bytes_of(colour: np.ndarray) -> list[float]:
    """0…1 → what OpenCV draws with on eight bits, the only depth at which it smooths lines and writes text."""
    return (np.clip(colour, 0, 1) * 255).tolist()


def ground(h: int, w: int, colour: np.ndarray) -> np.ndarray:
    return np.full((h, w, 3), np.round(np.clip(colour, 0, 1) * 255), np.uint8)


def colours(rng: Generator, n: int) -> np.ndarray:
    """A palette as designers choose them: one ground, dark or light, and a few others."""
    palette = rng.random((n, 3)) ** rng.uniform(0.5, 1.5)
    palette[0] = rng.choice((0.0, 0.08, 0.13, 0.95, 1.0, 1.0)) + rng.uniform(-0.03, 0.03, 3) * (rng.random() < 0.5)
    return np.clip(palette, 0, 1).astype(np.float32)


def write_lines(picture: np.ndarray, rng: Generator, box: tuple[int, int, int, int], ink: np.ndarray, size: float) -> None:
    """Lines of made-up words, ragged at the right, in the box (x, y, w, h)."""
    x, y, w, h = box
    font, step = FONTS[int(rng.integers(len(FONTS)))], int(size * rng.uniform(36, 46))
    for line in range(y + step, y + h, max(step, 4)):
        if rng.random() < 0.1:
            continue
        words = ["".join(rng.choice(LETTERS, int(rng.integers(2, 10)))) for _ in range(max(1, int(w / (size * 110))))]
        count = max(1, int(w * rng.uniform(0.6, 1.0) / (size * 19)))
        cv2.putText(picture, " ".join(words)[:count], (x, line), font, size, bytes_of(ink), 1 + (rng.random() < 0.1), cv2.LINE_AA)


def drawing(rng: Generator, h: int, w: int) -> np.ndarray:
    """Flat shapes with or without outlines, gradients here and there."""
    palette = colours(rng, int(rng.integers(4, 12)))
    picture = ground(h, w, palette[0])
    outline = palette[int(rng.integers(len(palette)))] * rng.uniform(0, 0.5)
    stroke = int(rng.integers(0, 5))
    for _ in range(int(np.exp(rng.uniform(np.log(4), np.log(90))))):
        colour = bytes_of(palette[int(rng.integers(1, len(palette)))])
        size = max(h, w) * np.exp(rng.uniform(np.log(0.01), np.log(0.35)))
        centre = np.array([rng.uniform(0, w), rng.uniform(0, h)])
        corners = int(rng.integers(3, 12))
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        points = centre + size * rng.uniform(0.4, 1.0, (corners, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        shape = rng.random()
        if shape < 0.4:
            axes = (int(size), int(size * rng.uniform(0.3, 1)))
            cv2.ellipse(picture, centre.astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
        elif shape < 0.75:
            cv2.fillPoly(picture, [points.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            cv2.polylines(picture, [points.astype(np.int32)], rng.random() < 0.5, colour, 1 + int(rng.integers(0, 6)), cv2.LINE_AA)
        if stroke and shape < 0.75:
            cv2.polylines(picture, [points.astype(np.int32)], True, bytes_of(outline), stroke, cv2.LINE_AA)
    if rng.random() < 0.35:
        ramp = np.linspace(rng.uniform(0.4, 1), 1, h, dtype=np.float32)[:, None, None]
        return picture / np.float32(255) * (ramp if rng.random() < 0.5 else ramp[::-1])
    return picture / np.float32(255)


def screen(rng: Generator, h: int, w: int) -> np.ndarray:
    """Windows, panels, buttons and text on one ground."""
    palette = colours(rng, 7)
    dark = palette[0].mean() < 0.5
    ink = np.float32([0.9, 0.9, 0.9]) if dark else np.float32([0.1, 0.1, 0.1])
    picture = ground(h, w, palette[0])
    size = rng.uniform(0.3, 0.6) * max(h, w) / 640
    picture[: int(h * rng.uniform(0.02, 0.09))] = bytes_of(palette[1])
    left = int(w * rng.choice((0, 0.15, 0.22, 0.3)))
    picture[:, :left] = bytes_of(palette[0] * 0.9 + 0.05)
    for _ in range(int(rng.integers(2, 9))):
        x, y = int(rng.uniform(left, w * 0.8)), int(rng.uniform(0, h * 0.9))
        bw, bh = int(rng.uniform(0.08, 0.6) * w), int(rng.uniform(0.05, 0.6) * h)
        panel = palette[0] + (palette[int(rng.integers(1, 7))] - palette[0]) * rng.choice((0.04, 0.08, 0.9))
        cv2.rectangle(picture, (x, y), (x + bw, y + bh), bytes_of(panel), -1)
        if rng.random() < 0.5:
            cv2.rectangle(picture, (x, y), (x + bw, y + bh), bytes_of(ink * 0.4 + palette[0] * 0.6), 1)
        write_lines(picture, rng, (x + 6, y, bw - 12, bh), ink if np.abs(panel - ink).mean() > 0.3 else palette[0], size)
    write_lines(picture, rng, (6, 0, max(left - 8, 20), h), ink, size)
    return picture / np.float32(255)


def figure(rng: Generator, h: int, w: int) -> np.ndarray:
    """A chart with its axes: lines, bars, points or a coloured field."""
    palette = colours(rng, 8)
    picture = ground(h, w, palette[0])
    ink = bytes_of(np.float32([0.05] * 3) if palette[0].mean() > 0.5 else np.float32([0.85] * 3))
    lines = bytes_of(palette[0] * 0.8 + 0.1)
    x0, y0, x1, y1 = int(w * 0.1), int(h * 0.07), int(w * 0.96), int(h * 0.88)
    if rng.random() < 0.5:
        for t in np.linspace(0, 1, int(rng.integers(4, 12))):
            cv2.line(picture, (x0, int(y0 + t * (y1 - y0))), (x1, int(y0 + t * (y1 - y0))), lines, 1)
            cv2.line(picture, (int(x0 + t * (x1 - x0)), y0), (int(x0 + t * (x1 - x0)), y1), lines, 1)
    kind, n = rng.choice(("lines", "bars", "points", "field")), int(rng.integers(5, 200))
    xs = np.linspace(x0, x1, n)
    for i in range(int(rng.integers(1, 6))):
        colour = bytes_of(palette[1 + i])
        ys = y1 - (y1 - y0) * np.clip(0.5 + np.cumsum(rng.normal(0, rng.uniform(0.01, 0.2), n)) / np.sqrt(n), 0, 1)
        if kind == "lines":
            cv2.polylines(picture, [np.stack([xs, ys], 1).astype(np.int32)], False, colour, int(rng.integers(1, 4)), cv2.LINE_AA)
        elif kind == "bars" and i == 0:
            for x, y in zip(xs, ys, strict=True):
                cv2.rectangle(picture, (int(x), int(y)), (int(x + 0.7 * (x1 - x0) / n), y1), colour, -1)
        elif kind == "points":
            for y in ys:
                cv2.circle(picture, (int(rng.uniform(x0, x1)), int(y)), int(rng.integers(1, 6)), colour, -1, cv2.LINE_AA)
        elif kind == "field" and i == 0:
            field = smooth_noise(rng, y1 - y0, x1 - x0, int(rng.integers(1, 6)), 3)
            picture[y0:y1, x0:x1] = cv2.applyColorMap((field * 255).astype(np.uint8), int(rng.integers(0, 21)))
    cv2.rectangle(picture, (x0, y0), (x1, y1), ink, 1)
    for t in np.linspace(0, 1, 6):
        place = (int(x0 + t * (x1 - x0)) - 10, int(y1 + h * 0.06))
        cv2.putText(picture, f"{rng.uniform(0, 99):.1f}", place, FONTS[0], 0.3 + w / 2000, ink, 1, cv2.LINE_AA)
    return picture / np.float32(255)


def scan(rng: Generator, h: int, w: int) -> np.ndarray:
    """A page of text or a sketch on paper, a little askew, unevenly lit, with the paper's grain."""
    paper = np.float32([rng.uniform(0.8, 1.0)] * 3) * np.float32([1, rng.uniform(0.94, 1), rng.uniform(0.82, 1)])
    picture = ground(h, w, paper)
    ink = np.float32(rng.uniform(0.02, 0.3) + rng.uniform(0, 0.1, 3))
    if rng.random() < 0.75:
        write_lines(picture, rng, (int(w * 0.1), int(h * 0.06), int(w * 0.8), int(h * 0.88)), ink, rng.uniform(0.25, 0.7) * max(h, w) / 640)
    else:  # pencil strokes, many of one direction: hatching
        lean = rng.uniform(-80, 80)
        for _ in range(int(rng.integers(60, 500))):
            a, n = np.deg2rad(lean + rng.normal(0, rng.choice((4, 50)))), rng.uniform(0.02, 0.2) * w
            x, y = rng.uniform(0, w), rng.uniform(0, h)
            end = (int(x + n * np.cos(a)), int(y + n * np.sin(a)))
            cv2.line(picture, (int(x), int(y)), end, bytes_of(ink + (paper - ink) * rng.uniform(0, 0.7)), 1, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), rng.normal(0, 1.2), 1)
    picture = cv2.warpAffine(picture, turn, (w, h), borderMode=cv2.BORDER_REPLICATE) / np.float32(255)
    picture *= (rng.uniform(0.75, 1.0) + 0.25 * smooth_noise(rng, h, w, 1, 2))[..., None]
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.2)) + rng.normal(0, rng.uniform(0, 0.02), (h, w, 1))


DRAWN: dict[str, Callable[[Generator, int, int], np.ndarray]] = {"drawing": drawing, "screen": screen, "figure": figure, "scan": scan}


def degrade(clean: np.ndarray, rng: Generator, kind: str) -> np.ndarray:
    """A photo made to look like one of PHOTOS, or one of DRAWN in the photo's size; rounded to 8 bits."""
    out = PHOTOS[kind](clean, rng) if kind in PHOTOS else DRAWN[kind](rng, *clean.shape[:2])
    out = round8(np.asarray(out, np.float32))
    return jpeg(out, int(rng.integers(60, 98))) if rng.random() < 0.2 else out


if __name__ == "__main__":
    sys.exit(sheet_main("negatives", degrade, (*PHOTOS, *DRAWN)))
