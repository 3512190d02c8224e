"""Seconds of one training step on this machine, the figures that training/README.md states.

    python -m training.speed --preset elf-lw --threads 1
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the trainer

import torch
from torch import Tensor

from training.data import Batch
from training.losses import restoration_loss
from training.memory import keep_memory
from training.model import PRESETS, create_elf
from training.muon import Optimisers
from training.parts import Parts

RATE = 1e-5


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m training.speed", description=__doc__.splitlines()[0])
    p.add_argument("--preset", choices=sorted(PRESETS), default="elf-lw")
    p.add_argument("--threads", type=int, default=0, help="0: torch's choice")
    p.add_argument("--pictures", type=int, default=4)
    p.add_argument("--side", type=int, default=128)
    p.add_argument("--steps", type=int, default=9)
    p.add_argument("--bfloat16", action="store_true", help="autocast, as training where the hardware multiplies it")
    p.add_argument("--default-memory", action="store_true", help="leave the C library's memory settings as they are")
    args = p.parse_args(argv)
    if not args.default_memory:
        keep_memory()
    if args.threads:
        torch.set_num_threads(args.threads)
    model = create_elf(args.preset)
    named = dict(model.named_parameters())
    optimisers = Optimisers(named, RATE)
    parts = Parts(list(named.values()), torch.get_num_threads())
    pictures = torch.rand(args.pictures, 3, args.side, args.side)

    def loss_of(batch: Batch) -> Tensor:
        x, y = (t.contiguous(memory_format=torch.channels_last) for t in batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bfloat16):
            output, background = model(x)
        return restoration_loss(output, background, y, 0.4, False)

    times = []
    for _ in range(args.steps + 2):
        begin = time.perf_counter()
        parts.backward([Batch(pictures, pictures)], loss_of)
        optimisers.step(RATE)
        times.append(time.perf_counter() - begin)
    times = sorted(times[2:])  # the first two also allocate
    print(f"{args.preset}, {args.pictures} × {args.side}², {parts.threads} threads: least {times[0]:.3f} s a step, "
          f"median {times[len(times) // 2]:.3f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
