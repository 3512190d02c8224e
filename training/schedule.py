"""What a step is: its rate, its crops and its loss, functions of its number and of the branch that it may lie in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RATE, FINAL_RATE, WARMUP, EMA_DECAY = 1e-3, 1e-6, 500, 0.999
PICTURES = 4  # of 128² a step
CROPS = {256: (1, 2), 192: (2, 1), 128: (4, 1)}  # side: pictures and accumulated batches that cost as much
COARSE_FULL_UNTIL = 8000  # steps; a trained coarse branch needs the weight of its loss no longer


@dataclass(frozen=True)
class Branch:
    """The steps [first, last) whose rate falls to nearly nothing; the last two fifths of them on crops of `last_crop`."""

    first: int
    last: int
    last_crop: int
    rate: float = RATE

    def done(self, step: int) -> float:
        return min((step - self.first) / max(self.last - self.first, 1), 1.0)


def plan(seed: int, step: int, branch: Branch | None, cuda: bool, pictures: int = PICTURES) -> tuple[int, int, int]:
    """(pictures, side, accumulated batches) of a step; `pictures` of 128², or fewer and larger ones at the same cost."""
    if cuda:
        return 16, 256, 1
    side = 128
    if branch and branch.done(step) >= 0.6:
        side = branch.last_crop
    elif np.random.default_rng([seed, step, 9]).random() < 0.3:
        side = 192
    count, accumulated = CROPS[side]
    return max(1, count * pictures // PICTURES), side, max(1, accumulated * pictures // PICTURES)


def rate(step: int, branch: Branch | None) -> float:
    if branch:
        return branch.rate + (FINAL_RATE - branch.rate) * branch.done(step)
    return RATE * min(1.0, (step + 1) / WARMUP)


def ema_decay(step: int, branch: Branch | None) -> float:
    """Of the moving average, which a fresh run's first steps and a short branch must not lag behind: it spans a tenth of either."""
    if branch:
        return min(EMA_DECAY, 1 - 10 / max(branch.last - branch.first, 20))
    return min(EMA_DECAY, (step + 1) / (step + 10))


def loss_terms(step: int, branch: Branch | None) -> tuple[float, bool]:
    """(weight of the coarse background's loss, whether PSNR replaces Charbonnier)."""
    return 0.4 if step < COARSE_FULL_UNTIL else 0.1, branch is not None and branch.done(step) >= 0.4
