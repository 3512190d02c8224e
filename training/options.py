"""The trainer's command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from training.model import PRESETS
from training.schedule import CROPS, PICTURES, RATE
from training.tasks import TASKS


def above_zero(kind: type) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    read.__name__ = f"{kind.__name__} above 0"  # argparse's message names it
    return read


def parse(argv: list[str] | None, about: str) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="python -m training.train", description=about)
    p.add_argument("--task", choices=sorted(TASKS), required=True)
    p.add_argument("--preset", choices=sorted(PRESETS), required=True)
    p.add_argument("--data", type=Path, default=Path("data"), help="holds train-clean/ and val-clean/")
    length = p.add_mutually_exclusive_group(required=True)
    length.add_argument("--hours", type=above_zero(float), help="of training, pauses not counted")
    length.add_argument("--steps", type=above_zero(int))
    p.add_argument("--phase", choices=("both", "constant", "release"), default="both",
                   help="the whole session, only its constant part, or only the decay branch")
    p.add_argument("--last-crop", type=int, choices=sorted(CROPS), default=256,
                   help="side of a branch's last crops; smaller ones cost less")
    p.add_argument("--rate", type=above_zero(float), default=RATE, help="from which a branch decays; lower for one from released weights")
    p.add_argument("--run", type=Path, help="working state (default training/runs/<task>-<preset>)")
    p.add_argument("--resume", type=Path, help="a saved state to start from where the run folder has none")
    p.add_argument("--init", type=Path, help="bare safetensors weights to start from where there is no state")
    p.add_argument("--save-state", type=Path, help="also copy the undecayed state here at the end")
    p.add_argument("--pause-file", type=Path, default=Path(__file__).parent / "runs" / "pause",
                   help="while it exists, training checkpoints and waits")
    p.add_argument("--threads", type=int, default=0, help="0: torch's choice")
    p.add_argument("--pictures", type=int, choices=(2, 4, 8), default=PICTURES, help="of 128² a step, or as many larger ones as cost the same")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--checkpoint-minutes", type=float, default=5)
    p.add_argument("--validate-minutes", type=float, default=20)
    p.add_argument("--validate-count", type=int, default=12, help="pictures a set while training")
    p.add_argument("--channels", type=int, help=argparse.SUPPRESS)  # narrows the network for tests
    return p.parse_args(argv)
