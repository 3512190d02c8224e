"""What a step is: its rate, its crops and its loss, functions of its number and of the branch that it may lie in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RATE, FINAL_RATE, WARMUP = 1e-3, 1e-6, 500
LAST_CROPS = {256: (1, 256, 2), 192: (2, 192, 1), 128: (4, 128, 1)}  # side: pictures, side, accumulated batches
COARSE_FULL_UNTIL = 8000  # steps; a trained coarse branch needs the weight of its loss no longer


@dataclass(frozen=True)
class Branch:
    """The steps [first, last) whose rate falls to nearly nothing; the last two fifths of them on crops of `last_crop`."""

    first: int
    last: int
    last_crop: int

    def done(self, step: int) -> float:
        return min((step - self.first) / max(self.last - self.first, 1), 1.0)


def plan(seed: int, step: int, branch: Branch | None, cuda: bool) -> tuple[int, int, int]:
    """(pictures, side, accumulated batches) of a step."""
    if cuda:
        return 16, 256, 1
    if branch and branch.done(step) >= 0.6:
        return LAST_CROPS[branch.last_crop]
    return (2, 192, 1) if np.random.default_rng([seed, step, 9]).random() < 0.3 else (4, 128, 1)


def rate(step: int, branch: Branch | None) -> float:
    if branch:
        return RATE + (FINAL_RATE - RATE) * branch.done(step)
    return RATE * min(1.0, (step + 1) / WARMUP)


def loss_terms(step: int, branch: Branch | None) -> tuple[float, bool]:
    """(weight of the coarse background's loss, whether PSNR replaces Charbonnier)."""
    return 0.4 if step < COARSE_FULL_UNTIL else 0.1, branch is not None and branch.done(step) >= 0.4
