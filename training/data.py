"""Clean photos in memory, and the batch of any step from (seed, step) alone, so that resuming is exact."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}


class DataError(Exception):
    """A folder or picture that training cannot use; the message says which, and what to do."""


def list_images(folder: Path) -> list[Path]:
    """Every picture under `folder`, sorted, so that a seed draws the same one everywhere."""
    if not folder.is_dir():
        raise DataError(f"data folder '{folder}' does not exist; pass --data the folder that holds train-clean/ and val-clean/")
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"data folder '{folder}' holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return files


def read_image(path: Path) -> np.ndarray:
    """A picture as uint8 RGB [h, w, 3]: grey thrice, alpha left aside, 16 bits rounded to the nearest of 8, turned as EXIF says."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"cannot read '{path}' ({error.strerror})") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if data.size else None
    if image is None:
        raise DataError(f"cannot read '{path}' as a picture ({data.size} bytes); replace or delete it")
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.dtype != np.uint8:
        raise DataError(f"'{path}' has samples of {image.dtype}; save it with 8 or 16 bits")
    return np.ascontiguousarray(image[..., ::-1])


def load_clean(folder: Path, cache: Path, max_side: int = 1024) -> list[np.ndarray]:
    """All clean photos, long side at most `max_side`, as uint8 [h, w, 3].

    Decoded once into one file under `cache` (about 0.9 GB for 800 photos) and mapped from there, so that several
    trainings share the memory and a resumed one starts at once. The file's name changes with the photos.
    """
    files = list_images(folder)
    stamp = hashlib.sha256(repr([(str(f.relative_to(folder)), f.stat().st_size, max_side) for f in files]).encode()).hexdigest()
    pixels, index = cache / f"photos-{stamp[:12]}.u8", cache / f"photos-{stamp[:12]}.json"
    if not index.exists():
        cache.mkdir(parents=True, exist_ok=True)
        shapes, part = [], pixels.with_suffix(f".{os.getpid()}.part")
        try:
            with open(part, "wb") as out:
                for file in files:
                    image = read_image(file)
                    scale = max_side / max(image.shape[:2])
                    if scale < 1:
                        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                    shapes.append(image.shape)
                    out.write(image.tobytes())
            part.replace(pixels)
        finally:
            part.unlink(missing_ok=True)  # hundreds of megabytes, where a photo could not be read
        whole = index.with_suffix(f".{os.getpid()}.part")
        whole.write_text(json.dumps(shapes))
        whole.replace(index)
    flat = np.memmap(pixels, np.uint8, "r")
    photos, at = [], 0
    for h, w, c in json.loads(index.read_text()):
        photos.append(flat[at : at + h * w * c].reshape(h, w, c))
        at += h * w * c
    return photos


def load_pairs(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """(input, target) of every `<set>/input/<name>` that has a `<set>/target/<name>` of the same size."""
    pairs = []
    for file in list_images(folder):
        if file.parent.name == "input":
            target = file.parents[1] / "target" / file.name
            if not target.exists():
                raise DataError(f"'{file}' has no '{target}'; add it or delete the input")
            a, b = read_image(file), read_image(target)
            if a.shape != b.shape:
                raise DataError(f"'{file}' and '{target}' differ in size; a pair must be aligned")
            pairs.append((a, b))
    if not pairs:
        raise DataError(f"'{folder}' holds no <set>/input and <set>/target folders")
    return pairs


def load_pairs_named(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, input, target) as float32 in [0, 1] of a folder with input/ and target/.

    Paired by their paths below those, extensions aside, or, where one of the two lies at the top, by file name alone: as
    `elfin eval` pairs them. Raises DataError where none or two could be meant.
    """
    by_path, by_name = {}, {}
    for file in list_images(folder / "target"):
        by_path.setdefault(name_in(folder / "target", file), []).append(file)
        by_name.setdefault(file.stem, []).append(file)
    for file in list_images(folder / "input"):
        name = name_in(folder / "input", file)
        named = [t for t in by_name.get(file.stem, []) if "/" not in name or t.parent == folder / "target"]
        found = by_path.get(name) or named
        if not found:
            raise DataError(f"'{file}' has no picture of the same name in '{folder / 'target'}'")
        if len(found) > 1:
            raise DataError(f"the target of '{file}' may be '{found[0]}' or '{found[1]}'; remove one")
        a, b = read_image(file), read_image(found[0])
        if a.shape != b.shape:
            raise DataError(f"'{file}' and '{found[0]}' differ in size; a pair must be aligned")
        yield name, a.astype(np.float32) / 255, b.astype(np.float32) / 255


def name_in(folder: Path, file: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix()


def random_crop(images: tuple[np.ndarray, ...], rng: Generator, side: int, enlarged: float = 1.0) -> list[np.ndarray]:
    """The same random square of aligned pictures, at a scale that makes their short side 320–800 px, then `enlarged`.

    Only the square is resized, not the picture: to `side` pixels, or to as many as an `enlarged` picture has there.
    Float32 in [0, 1], rounded to 8 bits, randomly mirrored.
    """
    h, w = images[0].shape[:2]
    short = max(min(rng.uniform(320, 800), min(h, w) * 1.25), side)
    cut = min(round(side * min(h, w) / short), h, w)
    y, x = int(rng.integers(h - cut + 1)), int(rng.integers(w - cut + 1))
    mirror = rng.random() < 0.5
    size, crops = round(side * enlarged), []
    for image in images:
        piece = image[y : y + cut, x : x + cut]
        if cut != size:
            piece = cv2.resize(piece, (size, size), interpolation=cv2.INTER_AREA if cut > size else cv2.INTER_CUBIC)
        crops.append((piece[:, ::-1] if mirror else piece).astype(np.float32) / 255)
    return crops


MAX_SHRINK = 4.0


def draw_shrink(rng: Generator) -> float:
    """By how much a large photo is shrunk before the network sees it: not at all half of the time, else up to MAX_SHRINK."""
    return float(np.exp(rng.uniform(0, np.log(MAX_SHRINK)))) if rng.random() < 0.5 else 1.0


def shrink_to(side: int, *images: np.ndarray) -> tuple[np.ndarray, ...]:
    """Square float32 pictures averaged down to `side`, as a large photo is before it is restored; not rounded again."""
    return tuple(i if len(i) == side else cv2.resize(i, (side, side), interpolation=cv2.INTER_AREA) for i in images)


Sample = Callable[[Generator, int], tuple[np.ndarray, np.ndarray]]
"""(rng, side) → (degraded, clean), both float32 [side, side, 3] in [0, 1]."""


class Batch(NamedTuple):
    degraded: torch.Tensor  # b 3 side side, channels-last
    clean: torch.Tensor


def make_batch(sample: Sample, seed: int, step: int, size: int, side: int) -> Batch:
    """The batch of one step: a function of its arguments and nothing else."""
    pairs = [sample(np.random.default_rng([seed, step, i]), side) for i in range(size)]
    degraded, clean = (
        torch.from_numpy(np.ascontiguousarray(np.stack(x))).permute(0, 3, 1, 2) for x in zip(*pairs, strict=True)
    )
    return Batch(degraded, clean)


def make_step(sample: Sample, seed: int, step: int, size: int, side: int, accumulated: int) -> list[Batch]:
    """The batches of one step; each after the first is drawn from a stream of its own."""
    return [make_batch(sample, seed + 1000003 * k, step, size, side) for k in range(accumulated)]


def prefetch(
    sample: Sample, seed: int, first: int, plan: Callable[[int], tuple[int, int, int]], depth: int = 4
) -> Iterator[list[Batch]]:
    """The batches of each step from `first` on, made a thread ahead; `plan(step)` gives (size, side, accumulated batches)."""
    ready: queue.Queue = queue.Queue(depth)
    done = threading.Event()

    def work() -> None:
        step = first
        while not done.is_set():
            try:
                item = make_step(sample, seed, step, *plan(step))
            except BaseException as error:  # handed to the consumer, who raises it where it can be seen
                item = error
            while not done.is_set():
                try:
                    ready.put(item, timeout=0.5)
                    break
                except queue.Full:
                    continue
            if isinstance(item, BaseException):
                return
            step += 1

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        done.set()
