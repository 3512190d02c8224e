"""What a task trains and validates on: one sampler and three fixed validation sets each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from training.data import DataError, Sample, draw_shrink, list_images, load_clean, load_pairs, random_crop, read_image, shrink_to
from training.synthesis import lowlight, negatives, rain, underwater
from training.synthesis.common import jpeg

TRAIN_SEED, VALID_SEED = 11, 20221010
SETS = ("light", "heavy", "mixed")
Degrade = Callable[[np.ndarray, Generator, str], np.ndarray]


@dataclass(frozen=True)
class Task:
    name: str
    luma: bool  # whether the protocol scores on Y (rain) or on RGB
    sampler: Callable[[Path, Path], Sample]
    """(data folder, cache folder) → the training sampler."""
    degrader: Callable[[], Degrade]
    """() → degrade(clean, rng, set) of the validation sets, which share no random material with training."""


def rain_sampler(data: Path, cache: Path) -> Sample:
    photos = load_clean(data / "train-clean", cache)
    bank = rain.create_bank(TRAIN_SEED, cache=cache)

    def sample(rng: Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
        photo, kind, shrink = photos[int(rng.integers(len(photos)))], rain.draw_kind(rng), draw_shrink(rng)
        (clean,) = random_crop((photo,), rng, side, shrink)
        # streaks of any size between the photo's grain and what the network was used to once it is shrunk
        rainy = rain.degrade(clean, rng, bank, kind, shrink ** rng.uniform(0.2, 1.1), max(1, int(shrink)))
        if kind != "clean" and shrink > 1 and rng.random() < 0.5:
            rainy = jpeg(rainy, int(rng.integers(70, 98)))
        rainy, clean = shrink_to(side, rainy, clean)
        return rainy, clean

    return sample


def rain_degrader() -> Degrade:
    bank = rain.create_bank(VALID_SEED, layers=72, side=512)
    return lambda clean, rng, kind: rain.degrade(clean, rng, bank, kind)


def untouched(clean: np.ndarray, rng: Generator, likes: dict[str, float]) -> np.ndarray:
    """A picture that must come out as it went in: the photo itself, or what negatives make of it, each with its share."""
    drawn = rng.random()
    for kind, share in likes.items():
        if drawn < share:
            return negatives.degrade(clean, rng, kind)
        drawn -= share
    return clean


MIN_TARGET = 0.2  # mean of a photo; a darker one was meant to be, and is no target
NOISE_FREE = 0.35  # of dark samples


def lowlight_sampler(data: Path, cache: Path) -> Sample:
    photos = load_clean(data / "train-clean", cache)

    def sample(rng: Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
        photo, kind, shrink = photos[int(rng.integers(len(photos)))], lowlight.draw_kind(rng), draw_shrink(rng)
        (clean,) = random_crop((photo,), rng, side, shrink)
        if kind == "clean" or photo[::16, ::16].mean() < 255 * MIN_TARGET:
            (same,) = shrink_to(side, untouched(clean, rng, {"night": 0.3, "coloured": 0.3}))
            return same, same
        noise = 0.0 if rng.random() < NOISE_FREE else min(1.0, rng.uniform(0.3, 1.7))
        dark, clean = shrink_to(side, lowlight.degrade(clean, rng, kind, noise), clean)
        return dark, clean

    return sample


REAL_PAIRS = 0.25  # of underwater samples; 70 pairs more often than that would be learnt by heart


def underwater_sampler(data: Path, cache: Path) -> Sample:
    photos = load_clean(data / "train-clean", cache)
    pairs = load_pairs(data / "train-pairs" / "underwater")

    def sample(rng: Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
        if rng.random() < REAL_PAIRS:
            degraded, clean = random_crop(pairs[int(rng.integers(len(pairs)))], rng, side)
            return degraded, clean
        photo, kind, shrink = photos[int(rng.integers(len(photos)))], underwater.draw_kind(rng), draw_shrink(rng)
        (clean,) = random_crop((photo,), rng, side, shrink)
        if kind == "clean":
            (same,) = shrink_to(side, untouched(clean, rng, {"coloured": 0.3, "sky": 0.15, "aquarium": 0.1}))
            return same, same
        water, clean = shrink_to(side, underwater.degrade(clean, rng, kind), clean)
        return water, clean

    return sample


TASKS = {
    t.name: t
    for t in (
        Task("derain", True, rain_sampler, rain_degrader),
        Task("lowlight", False, lowlight_sampler, lambda: lowlight.degrade),
        Task("underwater", False, underwater_sampler, lambda: underwater.degrade),
    )
}


def validation_set(task: Task, name: str, data: Path, side: int | None = None, count: int | None = None):
    """Yields (name, degraded, clean): float32 [h, w, 3] in [0, 1], the same for everyone at every time.

    The whole picture is degraded, then its middle `side`² cut out, so that a crop of the set is a part of the set.
    Raises DataError where a picture is smaller than that.
    """
    degrade = task.degrader()
    files = list_images(data / "val-clean")[:count]
    for i, file in enumerate(files):
        image = read_image(file)
        h, w = (n - n % 16 for n in image.shape[:2])
        if min(h, w) < (side or 16):
            raise DataError(f"'{file}' has only {w}×{h} whole pixels; pass a smaller --side, or delete it")
        clean = image[:h, :w].astype(np.float32) / 255
        degraded = degrade(clean, np.random.default_rng([VALID_SEED, (*SETS, "clean").index(name), i]), name)
        if side:
            y, x = (h - side) // 2, (w - side) // 2
            degraded, clean = (a[y : y + side, x : x + side] for a in (degraded, clean))
        yield file.stem, degraded, clean
