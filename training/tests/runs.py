"""Runs of the trainer in small, for its tests: a narrow network, one photo of 64² a step (the fixture `short`)."""

from pathlib import Path

import torch

from training.state import load_state


def options(data: Path, run: Path, *more: str, task: str = "lowlight") -> list[str]:
    return ["--task", task, "--preset", "elf-lw", "--channels", "16", "--data", str(data), "--run", str(run),
            "--pause-file", str(run / "pause"), "--validate-count", "1", *more]


def same(a: Path, b: Path) -> bool:
    (pa, ia), (pb, ib) = load_state(a), load_state(b)
    assert ia["step"] == ib["step"]
    return all(torch.equal(pa[part][k], pb[part][k]) for part in pa for k in pa[part])
