"""What a task trains and validates on: one sampler and three fixed validation sets each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from training.data import DataError, Sample, list_images, load_clean, load_pairs, random_crop, read_image
from training.synthesis import lowlight, rain, underwater

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
        (clean,) = random_crop((photos[int(rng.integers(len(photos)))],), rng, side)
        return rain.degrade(clean, rng, bank, rain.draw_kind(rng)), clean

    return sample


def rain_degrader() -> Degrade:
    bank = rain.create_bank(VALID_SEED, layers=72, side=512)
    return lambda clean, rng, kind: rain.degrade(clean, rng, bank, kind)


def lowlight_sampler(data: Path, cache: Path) -> Sample:
    photos = load_clean(data / "train-clean", cache)

    def sample(rng: Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
        (clean,) = random_crop((photos[int(rng.integers(len(photos)))],), rng, side)
        return lowlight.degrade(clean, rng, lowlight.draw_kind(rng)), clean

    return sample


REAL_PAIRS = 0.2  # of underwater samples; 70 pairs more often than that would be learnt by heart


def underwater_sampler(data: Path, cache: Path) -> Sample:
    photos = load_clean(data / "train-clean", cache)
    pairs = load_pairs(data / "train-pairs" / "underwater")

    def sample(rng: Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
        if rng.random() < REAL_PAIRS:
            degraded, clean = random_crop(pairs[int(rng.integers(len(pairs)))], rng, side)
            return degraded, clean
        (clean,) = random_crop((photos[int(rng.integers(len(photos)))],), rng, side)
        return underwater.degrade(clean, rng, underwater.draw_kind(rng)), clean

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
