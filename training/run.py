"""One model being trained: its parameters, optimisers and moving average, and their place in the schedule and on disk."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training import schedule
from training.data import Batch
from training.losses import restoration_loss
from training.model import create_elf
from training.muon import Optimisers
from training.parts import Parts
from training.provenance import note_start, origin_of, release_metadata
from training.schedule import RATE, Branch
from training.state import (
    PARTS,
    StateError,
    check_fit,
    load_state,
    load_weights,
    lock_folder,
    recover,
    replace_file,
    save_state,
    write_tensors,
)
from training.tasks import TASKS
from training.validation import Validation

MAX_GRADIENT_NORM = 1.0


class Diverged(Exception):
    """A loss, gradient or weight that is not a number."""


class Run:
    """Built from the command line, it holds what the last checkpoint held; `step` then moves it on by one batch."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.task = TASKS[args.task]
        self.folder: Path = args.run or Path(__file__).parent / "runs" / f"{args.task}-{args.preset}"
        self.lock = lock_folder(self.folder)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # elsewhere bfloat16 is emulated, at seven times float32's time
        self.bfloat16 = self.device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        torch.manual_seed(args.seed)
        self.model = create_elf(args.preset, args.channels).to(self.device)
        self.named: dict[str, Tensor] = dict(self.model.named_parameters())
        self.params = list(self.named.values())
        self.ema = {n: p.detach().clone() for n, p in self.named.items()}
        self.optimisers = Optimisers(self.named, RATE)
        self.info: dict[str, Any] = {"task": args.task, "preset": args.preset, "seed": args.seed, "step": 0, "seconds": 0.0, "crop": 0}
        self.branch: Branch | None = None
        self.stop = False
        self.validation = Validation(self.task, args.data, args.validate_count)
        self.restore()
        self.parts = Parts(self.params, torch.get_num_threads(), max_parts=1 if self.device.type == "cuda" else 4)
        self.sampler = self.task.sampler(args.data, self.folder.parent / "cache")

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    # From disk and back

    def restore(self) -> None:
        """From the run's own state, else --resume, else --init, else fresh."""
        for name in ("state", "branch"):
            recover(self.folder / name)
        source = self.folder / "state"
        if not source.exists() and self.args.resume:
            source = self.args.resume
        if source.exists():
            self.load(source)
        elif self.args.resume:
            raise StateError(f"--resume '{self.args.resume}' does not exist")
        elif self.args.init:
            given = load_weights(self.args.init)
            check_fit(self.model.state_dict(), given, self.args.init, self.args.preset)
            self.take({"weights": given, "ema": given})
            self.info["origin"] = origin_of(self.args.init)
        note_start(self.info, self.device, self.args.data)

    def take(self, parts: dict[str, dict[str, Tensor]]) -> None:
        for name, p in self.named.items():
            p.data.copy_(parts["weights"][name])
            self.ema[name].copy_(parts["ema"][name])

    def load(self, folder: Path) -> None:
        """The state in `folder`; where it keeps no moments, those begin anew."""
        parts, info = load_state(folder)
        for key in ("task", "preset"):
            if info.get(key) != self.info[key]:
                raise StateError(f"'{folder}' holds {key} '{info.get(key)}', not '{self.info[key]}'; pass --{key} {info.get(key)} or another folder")
        check_fit(self.named, parts["weights"], folder, self.args.preset)
        self.info = info
        self.take(parts)
        if "momentum" in parts:
            self.optimisers.load_moments(parts, info["adam_steps"])
        # a branch from before its last crop was kept takes the option's
        self.branch = Branch(**({"last_crop": self.args.last_crop} | info.pop("branch"))) if "branch" in info else None
        note_start(self.info, self.device, self.args.data)

    def save(self) -> None:
        """The undecayed state goes to `state`, a branch's to `branch`. Raises Diverged rather than keep what is not a number."""
        self.check_finite()
        moments, steps = self.optimisers.moments()
        info = self.info | {"adam_steps": steps} | ({"branch": asdict(self.branch)} if self.branch else {})
        save_state(self.folder / ("branch" if self.branch else "state"), dict(zip(PARTS, (self.named, self.ema), strict=True)) | moments, info)

    def release(self) -> None:
        """The EMA weights of a finished branch, with their validation, under the authors' names."""
        self.check_finite()
        scores = self.validate()
        by_id = {id(p): self.ema[n] for n, p in self.named.items()}  # shared PReLUs have several names
        names = self.model.named_parameters(remove_duplicate=False)
        new = self.folder / "release.new.safetensors"
        write_tensors({n: by_id[id(p)].cpu().contiguous().clone() for n, p in names}, new, release_metadata(self.info))
        replace_file(new, self.folder / "release.safetensors")
        self.log(event="released", validation=scores)

    # What is not a number

    def check_finite(self) -> None:
        for kind, tensors in (("weight", self.named), ("moving average", self.ema)):
            bad = [n for n, t in tensors.items() if not torch.isfinite(t).all()]
            if bad:
                raise Diverged(self.lost(f"{kind} '{bad[0]}' is not finite"))

    def lost(self, what: str) -> str:
        return (f"{what} at step {self.info['step']} (seed {self.info['seed']}); "
                f"the state of the last checkpoint is kept in '{self.folder}'")

    # One step

    def plan(self, step: int) -> tuple[int, int, int]:
        """(pictures, side, accumulated batches) of a step."""
        return schedule.plan(self.info["seed"], step, self.branch, self.device.type == "cuda", self.args.pictures)

    def rate(self, step: int) -> float:
        return schedule.rate(step, self.branch)

    def one_step(self, batches: list[Batch]) -> float:
        step = self.info["step"]
        coarse, psnr = schedule.loss_terms(step, self.branch)

        def loss_of(batch: Batch) -> Tensor:
            x, y = (t.to(self.device, memory_format=torch.channels_last) for t in batch)
            with self.autocast():
                output, background = self.model(x)
            return restoration_loss(output, background, y, coarse, psnr)

        total = self.parts.backward(batches, loss_of)
        if not np.isfinite(total):
            raise Diverged(self.lost(f"loss is {total}"))
        norm = torch.nn.utils.clip_grad_norm_(self.params, MAX_GRADIENT_NORM, foreach=True).item()
        if not np.isfinite(norm):
            raise Diverged(self.lost(f"the gradient's norm is {norm} (the loss {total:.4g})"))
        self.optimisers.step(self.rate(step))
        torch._foreach_lerp_(list(self.ema.values()), [p.data for p in self.params], 1 - schedule.ema_decay(step, self.branch))
        self.info["step"] = step + 1
        side = batches[0].clean.shape[-1]
        self.info["crop"] = side if self.branch else max(self.info["crop"], side)
        return total

    # What is told

    def log(self, **entry: Any) -> None:
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "step": self.info["step"],
                           "phase": "release" if self.branch else "constant"} | entry)
        with open(self.folder / "log.jsonl", "a") as f:
            f.write(line + "\n")
        print(line, flush=True)

    def validate(self) -> dict[str, dict[str, float]]:
        """Input and output PSNR of the EMA weights on the middle 192² of the validation sets."""
        kept = [p.data.clone() for p in self.params]
        for n, p in self.named.items():
            p.data.copy_(self.ema[n])
        try:
            with torch.no_grad(), self.autocast():
                return self.validation.scores(lambda x: self.model(x)[0], self.device)
        finally:
            for p, k in zip(self.params, kept, strict=True):
                p.data.copy_(k)
