"""One command trains one model, for a session of some hours, and can be stopped at any time.

    python -m training.train --task derain --preset elf-lw --data data --hours 2

A session is three quarters at a constant rate, then a branch that decays it to nearly nothing and releases its
EMA weights. The next session resumes from where the branch left off, not from the branch. See training/README.md.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when PyTorch loads; a spinning barrier starves, and is starved by, other work

import cv2
import torch

from training.data import DataError
from training.memory import keep_memory
from training.options import parse
from training.run import Diverged, Run
from training.session import run_session
from training.state import StateError, save_checkpoint


def train(run: Run) -> int:
    """The session, and the exit code that it ends with."""
    try:
        run_session(run)
    except Diverged as error:
        print(f"train: {error}", file=sys.stderr)
        run.log(event="diverged", message=str(error))
        return 3
    except (DataError, StateError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    run.log(event="stopped" if run.stop else "done")
    return 0


def main(argv: list[str] | None = None) -> int:
    args = parse(argv, __doc__.splitlines()[0])
    if hasattr(os, "nice"):
        os.nice(19 - os.nice(0))
    if args.threads:
        torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    keep_memory()
    try:
        run = Run(args)
    except (DataError, StateError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2

    def ask_stop(*_: Any) -> None:
        run.stop = True

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, ask_stop)
    run.log(event="start", parameters=sum(p.numel() for p in run.params), device=str(run.device), threads=torch.get_num_threads())
    gc.freeze()  # what lives until the end need not be looked at by every collection
    try:
        return train(run)
    finally:
        gc.unfreeze()
        if args.save_state and (run.folder / "state").exists():
            save_checkpoint(args.save_state, run.folder / "state")
        run.lock.close()  # last: another trainer would write what is being copied


if __name__ == "__main__":
    sys.exit(main())
