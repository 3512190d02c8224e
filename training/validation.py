"""What a trainer watches: the validation sets in small, checked before the first step and built when first needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data import DataError, list_images, read_image
from training.metrics import score
from training.tasks import SETS, Task, validation_set

SIDE = 192  # of the middle cut out of every picture


class Validation:
    """`count` pictures a set. Raises DataError where a picture is missing, unreadable or smaller than SIDE."""

    def __init__(self, task: Task, data: Path, count: int):
        self.task, self.data, self.count = task, data, count
        for file in list_images(data / "val-clean")[:count]:
            h, w = read_image(file).shape[:2]
            if min(h, w) < SIDE:
                raise DataError(f"'{file}' has {w}×{h} pixels; validation needs {SIDE}×{SIDE}: replace or delete it")

    @cached_property
    def sets(self) -> dict[str, list]:
        return {s: list(validation_set(self.task, s, self.data, SIDE, self.count)) for s in SETS}

    def scores(self, restore: Callable[[Tensor], Tensor], device: torch.device) -> dict[str, dict[str, float]]:
        """Mean input and output PSNR by set, in dB; a picture counts for 60 dB at most."""
        result = {}
        for name, pictures in self.sets.items():
            scores = []
            for _, degraded, clean in pictures:
                x = torch.from_numpy(np.ascontiguousarray(degraded)).permute(2, 0, 1)[None].to(device)
                y = restore(x.contiguous(memory_format=torch.channels_last))
                y = y[0].permute(1, 2, 0).float().cpu().numpy()
                scores.append((score(degraded, clean, self.task.luma)[0], score(y, clean, self.task.luma)[0]))
            given, got = np.minimum(np.array(scores), 60).mean(0)
            result[name] = {"input": round(float(given), 3), "output": round(float(got), 3)}
        return result
