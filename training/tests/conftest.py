import os

import cv2
import numpy as np
import pytest
import torch

from training.run import Run

cv2.setNumThreads(1)


@pytest.fixture
def data(tmp_path):
    """A data folder in small: three smooth photos to train on, two to validate on, one underwater pair."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for folder, count in (
        ("train-clean/a", 3), ("val-clean/b", 2), ("train-pairs/underwater/c/input", 1), ("train-pairs/underwater/c/target", 1),
    ):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            image = cv2.resize(rng.integers(0, 256, (12, 16, 3)).astype(np.uint8), (336, 272), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(root / folder / f"{i}.png"), image)
    return root


@pytest.fixture
def short(monkeypatch):
    """The trainer in the test's own process, on small steps."""
    monkeypatch.setattr(os, "nice", lambda n: 0)  # a test must not slow its own process for ever
    monkeypatch.setattr(Run, "plan", lambda self, step: (1, 64, 2 if self.branch else 1))
    torch.set_num_threads(1)
