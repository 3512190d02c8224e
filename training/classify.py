"""The classifier behind `restore=auto`: which degradation, if any, a thumbnail shows.

A softmax over a few dozen measured features, trained on the syntheses; packages/core/src/classify/classify.ts computes the
same features and holds the same table, which this writes:

    python -m training.classify --data data --write packages/core/src/classify/table.ts
    python -m training.classify --data data --table packages/core/src/classify/table.ts --real data/real   # what it says, unchanged

Features must stay what both languages compute alike: block means, sums, histograms; no library's filter.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator

from training.data import DataError, list_images, read_image
from training.synthesis import lowlight, rain, underwater

CLASSES = ("none", "derain", "lowlight", "underwater")
REAL = {"rain": 1, "lowlight": 2, "underwater": 3, "clean": 0}  # folder: class
LONG_SIDE, BLOCK = 512, 16
FEATURES = (
    "luma mean", "luma p10", "luma p50", "luma p90", "luma p98", "luma deviation", "share below 0.1",
    "red share", "blue share", "red p98", "green p98", "blue p98", "saturation", "share of pixels lacking red",
    "red minus green", "yellow minus blue", "red minus green deviation", "yellow minus blue deviation", "darkest channel",
    "detail skewness", "detail kurtosis", "detail of quiet blocks", "detail of median blocks", "detail of busy blocks",
    "quiet to median detail", "common direction", "common direction of quiet blocks", "uprightness of quiet blocks",
    "coherence", "skewness of quiet blocks", "colour of detail", "bright to dark detail",
)


def shrink(image: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3] → float64 in [0, 1], averaged over k×k blocks so that the long side is at most LONG_SIDE."""
    k = -(-max(image.shape[:2]) // LONG_SIDE)
    h, w = (n // k for n in image.shape[:2])
    x = image[: h * k, : w * k].astype(np.float64).reshape(h, k, w, k, 3)
    return x.mean((1, 3)) / 255


def quantile(values: np.ndarray, q: float) -> float:
    """By a histogram of 256 bins over [0, 1]: the first bin at which the share q is reached."""
    bins = np.bincount(np.clip(np.floor(values.ravel() * 255 + 0.5), 0, 255).astype(np.int64), minlength=256)
    return int(np.argmax(np.cumsum(bins) >= q * values.size)) / 255


def middle(values: np.ndarray, q: float) -> float:
    """The value at index floor(q·(n − 1)) of the sorted list."""
    return float(np.sort(values)[int(np.floor(q * (len(values) - 1)))])


def box5(x: np.ndarray) -> np.ndarray:
    """Means over 5×5, valid positions only."""
    s = np.zeros((x.shape[0] + 1, x.shape[1] + 1))
    s[1:, 1:] = x.cumsum(0).cumsum(1)
    return (s[5:, 5:] - s[:-5, 5:] - s[5:, :-5] + s[:-5, :-5]) / 25


def skewness(x: np.ndarray) -> float:
    m2 = float(np.mean(x * x))
    return float(np.clip(np.mean(x**3) / (m2**1.5 + 1e-9), -6, 6))


def features(image: np.ndarray) -> np.ndarray:
    """uint8 RGB [h, w, 3], sides of at least 48 → FEATURES as float64."""
    x = shrink(image)
    r, g, b = x[..., 0], x[..., 1], x[..., 2]
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    top, low = x.max(2), x.min(2)
    total = r.mean() + g.mean() + b.mean() + 1e-6
    rg, yb = r - g, (r + g) / 2 - b

    detail = luma[2:-2, 2:-2] - box5(luma)
    gx, gy = luma[2:-2, 3:-1] - luma[2:-2, 1:-3], luma[3:-1, 2:-2] - luma[1:-3, 2:-2]
    bh, bw = detail.shape[0] // BLOCK, detail.shape[1] // BLOCK

    def blocks(v: np.ndarray) -> np.ndarray:
        return v[: bh * BLOCK, : bw * BLOCK].reshape(bh, BLOCK, bw, BLOCK).mean((1, 3)).ravel()

    power = blocks(detail * detail)
    deviation = np.sqrt(power)
    jxx, jyy, jxy = blocks(gx * gx), blocks(gy * gy), blocks(gx * gy)
    energy = jxx + jyy + 1e-6
    vx, vy = (jxx - jyy) / energy, 2 * jxy / energy
    quiet = power <= middle(power, 0.4)
    cube = blocks(detail**3)
    chroma = rg[2:-2, 2:-2] - box5(rg)
    bright, dark = np.mean(np.maximum(detail, 0) ** 2), np.mean(np.minimum(detail, 0) ** 2)
    m2 = float(np.mean(detail**2))
    p10, p50, p90 = (middle(deviation, q) for q in (0.1, 0.5, 0.9))
    return np.array([
        luma.mean(), quantile(luma, 0.1), quantile(luma, 0.5), quantile(luma, 0.9), quantile(luma, 0.98),
        np.sqrt(max(np.mean(luma * luma) - luma.mean() ** 2, 0)), np.mean(luma < 0.1),
        r.mean() / total, b.mean() / total, quantile(r, 0.98), quantile(g, 0.98), quantile(b, 0.98),
        np.mean((top - low) / (top + 1e-3)), np.mean(r < np.minimum(g, b) - 0.04),
        rg.mean(), yb.mean(),
        np.sqrt(max(np.mean(rg * rg) - rg.mean() ** 2, 0)), np.sqrt(max(np.mean(yb * yb) - yb.mean() ** 2, 0)), low.mean(),
        skewness(detail), np.log(np.mean(detail**4) / (m2 * m2 + 1e-12) + 1e-3),
        np.log(p10 + 1e-3), np.log(p50 + 1e-3), np.log(p90 + 1e-3), p10 / (p50 + 1e-3),
        np.hypot(vx.mean(), vy.mean()), np.hypot(vx[quiet].mean(), vy[quiet].mean()), vx[quiet].mean(),
        np.mean(np.hypot(vx, vy)),
        np.clip(cube[quiet].mean() / (power[quiet].mean() ** 1.5 + 1e-9), -6, 6),
        np.sqrt(np.mean(chroma * chroma) / (m2 + 1e-9)), np.log((bright + 1e-9) / (dark + 1e-9)),
    ])


def sample(image: np.ndarray, kind: str, rng: Generator, bank: rain.Bank) -> np.ndarray:
    """A photo as the classifier may meet it: resized, cut, degraded or not, often a JPEG, as a thumbnail."""
    h, w = image.shape[:2]
    scale = min(float(np.exp(rng.uniform(np.log(320), np.log(1000)))) / max(h, w), 1.5)
    x = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC).astype(np.float32) / 255
    if rng.random() < 0.3:  # a part of a picture is a picture too
        ch, cw = (int(n * rng.uniform(0.5, 1)) for n in x.shape[:2])
        y0, x0 = int(rng.integers(x.shape[0] - ch + 1)), int(rng.integers(x.shape[1] - cw + 1))
        x = x[y0 : y0 + ch, x0 : x0 + cw]
    strength = str(rng.choice(("light", "heavy", "mixed")))
    if kind == "derain":
        x = rain.degrade(x, rng, bank, strength)
    elif kind == "lowlight":
        x = lowlight.degrade(x, rng, strength)
    elif kind == "underwater":
        x = underwater.degrade(x, rng, strength)
    x8 = np.round(np.clip(x, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, data = cv2.imencode(".jpg", x8[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(70, 98))))
        x8 = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    return thumbnail(x8)


def thumbnail(image: np.ndarray) -> np.ndarray:
    """As core makes it: averaged down so that the long side is at most LONG_SIDE."""
    scale = LONG_SIDE / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image


def collect(files: list[Path], draws: int, seed: int, bank: rain.Bank) -> tuple[np.ndarray, np.ndarray]:
    xs, ys = [], []
    for i, file in enumerate(files):
        image = read_image(file)
        for label, kind in enumerate(CLASSES):
            for d in range(draws):
                xs.append(features(sample(image, kind, np.random.default_rng([seed, i, label, d]), bank)))
                ys.append(label)
    return np.array(xs), np.array(ys)


def fit(x: np.ndarray, y: np.ndarray) -> dict:
    """Standardised softmax regression by L-BFGS, lightly regularised."""
    mean, std = x.mean(0), x.std(0) + 1e-6
    z = torch.tensor(np.clip((x - mean) / std, -4, 4))
    t = torch.tensor(y)
    w = torch.zeros(z.shape[1], len(CLASSES), dtype=torch.float64, requires_grad=True)
    b = torch.zeros(len(CLASSES), dtype=torch.float64, requires_grad=True)
    opt = torch.optim.LBFGS([w, b], max_iter=400, line_search_fn="strong_wolfe")

    def closure():
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(z @ w + b, t) + 2e-4 * w.square().sum()
        loss.backward()
        return loss

    opt.step(closure)
    return {"mean": mean, "std": std, "weight": w.detach().numpy(), "bias": b.detach().numpy()}


def probabilities(table: dict, x: np.ndarray) -> np.ndarray:
    z = np.clip((x - table["mean"]) / table["std"], -4, 4) @ table["weight"] + table["bias"]
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


THRESHOLD = 0.6  # below it a photo passes untouched: restoring a clean photo costs more than missing a faint rain


def decide(p: np.ndarray) -> np.ndarray:
    best = p.argmax(-1)
    return np.where(p.max(-1) >= THRESHOLD, best, 0)


def confusion(table: dict, x: np.ndarray, y: np.ndarray) -> str:
    got = decide(probabilities(table, x))
    lines = ["| truth \\ said | " + " | ".join(CLASSES) + " |", "| --- |" + " --- |" * len(CLASSES)]
    for i, name in enumerate(CLASSES):
        if (y == i).any():
            lines.append(f"| {name} | " + " | ".join(str(int(((y == i) & (got == j)).sum())) for j in range(len(CLASSES))) + " |")
    return "\n".join(lines)


def write_table(file: Path, table: dict) -> None:
    def numbers(v: np.ndarray) -> str:
        return "[" + ", ".join(f"{float(n):.6g}" for n in v) + "]"

    rows = "\n".join(
        f"  {{ name: {json.dumps(n)}, mean: {table['mean'][i]:.6g}, deviation: {table['std'][i]:.6g}, weights: {numbers(table['weight'][i])} }},"
        for i, n in enumerate(FEATURES)
    )
    file.write_text(f"""// Generated by `python -m training.classify --write`; do not edit.

export interface ClassifierFeature {{
  readonly name: string;
  /** Of the training pictures; a feature enters as (value − mean) / deviation, held to ±4. */
  readonly mean: number;
  readonly deviation: number;
  /** One a class, in the order of {{@link CLASSES}}. */
  readonly weights: readonly number[];
}}

export const CLASSES = {json.dumps(CLASSES).replace('"', "'")} as const;

export const BIAS: readonly number[] = {numbers(table["bias"])};

/** A class other than `none` must be at least this probable. */
export const THRESHOLD = {THRESHOLD};

export const FEATURES: readonly ClassifierFeature[] = [
{rows}
];
""")


def read_table(file: Path) -> dict:
    """What `write_table` wrote. Raises DataError for another file, or the table of other features."""
    try:
        text = file.read_text()
    except OSError as error:
        raise DataError(f"cannot read '{file}' ({error.strerror})") from error
    number = r"(-?[\d.e-]+)"
    rows = re.findall(rf"name: ['\"]([^'\"]*)['\"],\s*mean: {number},\s*deviation: {number},\s*weights: \[([^\]]*)\]", text)
    bias = re.search(r"BIAS: readonly number\[\] = \[([^\]]*)\]", text)

    def numbers(inner: str) -> list[float]:
        return [float(n) for n in inner.split(",") if n.strip()]

    if not bias or tuple(r[0] for r in rows) != FEATURES:
        raise DataError(f"'{file}' holds no table of these {len(FEATURES)} features; write one with --write")
    table = {"mean": [float(r[1]) for r in rows], "std": [float(r[2]) for r in rows],
             "weight": [numbers(r[3]) for r in rows], "bias": numbers(bias[1])}
    return {k: np.array(v) for k, v in table.items()}


def rounded(table: dict) -> dict:
    """The table with the digits that the generated file keeps."""
    return {k: np.vectorize(lambda n: float(f"{n:.6g}"))(v) for k, v in table.items()}


def photos(root: Path, table: dict) -> None:
    """One confusion table over the photos in the folders of `root`, and each one's probabilities."""
    folders = [(root / name, label) for name, label in REAL.items() if (root / name).is_dir()]
    if not folders:
        raise DataError(f"'{root}' has none of the folders {', '.join(REAL)}")
    files = [(f, label) for folder, label in folders for f in list_images(folder)]
    x = np.array([features(thumbnail(read_image(f))) for f, _ in files])
    print(f"\nreal photos\n{confusion(table, x, np.array([label for _, label in files]))}")
    for (f, _), q in zip(files, probabilities(table, x), strict=True):
        print(f"  {f.relative_to(root).as_posix():32} " + "  ".join(f"{c} {v:.2f}" for c, v in zip(CLASSES, q, strict=True)))


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m training.classify", description=__doc__.splitlines()[0])
    p.add_argument("--data", type=Path, default=Path("data"))
    p.add_argument("--real", type=Path, help="a folder with photos in any of rain/, lowlight/, underwater/ and clean/")
    p.add_argument("--draws", type=int, default=2, help="pictures of each class a training photo")
    table_of = p.add_mutually_exclusive_group()
    table_of.add_argument("--write", type=Path, help="the TypeScript table to write")
    table_of.add_argument("--table", type=Path, help="a table to try as it is, instead of learning one")
    args = p.parse_args(argv)
    torch.set_num_threads(1)
    try:
        held = list_images(args.data / "val-clean")
        if args.table:
            table = read_table(args.table)
        else:
            x, y = collect(list_images(args.data / "train-clean"), args.draws, 21, rain.create_bank(31, layers=120))
            table = rounded(fit(x, y))
            print(f"training pictures\n{confusion(table, x, y)}\n")
        vx, vy = collect(held, 6, 22, rain.create_bank(32, layers=60))
        print(f"held-out synthesis (val-clean)\n{confusion(table, vx, vy)}")
        if args.real:
            photos(args.real, table)
    except DataError as error:
        print(f"classify: {error}", file=sys.stderr)
        return 2
    if args.write:
        write_table(args.write, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
