"""One command trains one model, for a sitting of some hours, and can be stopped at any time.

    python -m training.train --task derain --preset elf-lw --data data --hours 2

A sitting is three quarters at a constant rate, then a branch that decays it to nearly nothing and releases its
EMA weights. The next sitting resumes from where the branch left off, not from the branch. See training/README.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a spinning barrier starves, and is starved by, other work

import cv2
import numpy as np
import torch
from torch import Tensor

from training import schedule
from training.data import Batch, DataError, prefetch
from training.losses import restoration_loss
from training.memory import keep_memory
from training.model import create_elf
from training.muon import optimisers
from training.options import parse
from training.parts import Parts
from training.provenance import note_start, origin_of, release_metadata
from training.schedule import RATE, Branch
from training.sitting import sit
from training.state import StateError, check_fit, hold, load_state, load_weights, recover, replace_file, save_state, write_tensors
from training.tasks import TASKS
from training.validation import Validation

EMA_DECAY, CLIP = 0.999, 1.0


class Diverged(Exception):
    """A loss, gradient or weight that is not a number."""


class Run:
    """One model being trained: parameters, optimiser, EMA, the position in the schedule, and its folder."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.task = TASKS[args.task]
        self.folder: Path = args.run or Path(__file__).parent / "runs" / f"{args.task}-{args.preset}"
        self.lock = hold(self.folder)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.half = self.device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        torch.manual_seed(args.seed)
        self.model = create_elf(args.preset, args.channels).to(self.device)
        self.names = [n for n, _ in self.model.named_parameters()]
        self.params = [p for _, p in self.model.named_parameters()]
        self.info: dict[str, Any] = {
            "format": 1, "task": args.task, "preset": args.preset, "seed": args.seed,
            "step": 0, "seconds": 0.0, "crop": 0,
        }
        self.branch: Branch | None = None
        self.stop = False
        self.validation = Validation(self.task, args.data, args.validate_count)
        self.ema = [p.detach().clone() for p in self.params]
        self.restore()
        self.parts = Parts(self.params, torch.get_num_threads(), most=1 if self.device.type == "cuda" else 4)
        self.sampler = self.task.sampler(args.data, self.folder.parent / "cache")

    def precision(self):
        """bfloat16 where the hardware multiplies it; elsewhere it is emulated, at seven times float32's time."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    def restore(self) -> None:
        """From the run's own state, else --resume, else --init, else fresh."""
        self.muon, self.adam = optimisers(self.params, RATE)
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
            for name, p, e in zip(self.names, self.params, self.ema, strict=True):
                p.data.copy_(given[name])
                e.copy_(given[name])
            self.info["origin"] = origin_of(self.args.init)
        note_start(self.info, self.device, self.args.data)

    def load(self, folder: Path) -> None:
        parts, info = load_state(folder)
        for key in ("task", "preset"):
            if info.get(key) != self.info[key]:
                raise StateError(f"'{folder}' holds {key} '{info.get(key)}', not '{self.info[key]}'; pass --{key} {info.get(key)} or another folder")
        check_fit(dict(self.model.named_parameters()), parts["weights"], folder, self.args.preset)
        self.info = info
        for name, p, e in zip(self.names, self.params, self.ema, strict=True):
            p.data.copy_(parts["weights"][name])
            e.copy_(parts["ema"][name])
            if p in self.muon.momentum:
                self.muon.momentum[p].copy_(parts["adam_m"][name])
                continue
            self.adam.state[p] = {
                "step": torch.tensor(float(info["adam_steps"]), device=p.device),  # where the fused step reads it
                # laid out as the parameter: the fused step walks their memory side by side
                "exp_avg": torch.empty_like(p.data).copy_(parts["adam_m"][name]),
                "exp_avg_sq": torch.empty_like(p.data).copy_(parts["adam_v"][name]),
            }
        # a branch from before its last crop was kept takes the option's
        self.branch = Branch(**({"last_crop": self.args.last_crop} | info.pop("branch"))) if "branch" in info else None
        note_start(self.info, self.device, self.args.data)

    def save(self) -> None:
        """The undecayed state goes to `state`, a branch's to `branch`. Raises Diverged rather than keep what is not a number."""
        self.check_finite()
        named = zip(self.names, self.params, self.ema, strict=True)
        parts: dict[str, dict[str, Tensor]] = {k: {} for k in ("weights", "ema", "adam_m", "adam_v")}
        steps = 0.0
        for name, p, e in named:
            parts["weights"][name], parts["ema"][name] = p, e
            if p in self.muon.momentum:
                parts["adam_m"][name] = self.muon.momentum[p]
                continue
            state = self.adam.state.get(p) or {}
            parts["adam_m"][name] = state.get("exp_avg", torch.zeros_like(p))
            parts["adam_v"][name] = state.get("exp_avg_sq", torch.zeros_like(p))
            steps = float(state.get("step", 0.0))
        info = self.info | {"adam_steps": steps} | ({"branch": asdict(self.branch)} if self.branch else {})
        save_state(self.folder / ("branch" if self.branch else "state"), parts, info)

    def check_finite(self) -> None:
        for kind, tensors in (("weight", [p.data for p in self.params]), ("moving average", self.ema)):
            bad = [n for n, t in zip(self.names, tensors, strict=True) if not torch.isfinite(t).all()]
            if bad:
                raise Diverged(self.lost(f"{kind} '{bad[0]}' is not finite"))

    def lost(self, what: str) -> str:
        return (f"{what} at step {self.info['step']} (seed {self.info['seed']}); "
                f"the state of the last checkpoint is kept in '{self.folder}'")

    def plan(self, step: int) -> tuple[int, int, int]:
        """(pictures, side, accumulated batches) of a step."""
        return schedule.plan(self.info["seed"], step, self.branch, self.device.type == "cuda")

    def rate(self, step: int) -> float:
        return schedule.rate(step, self.branch)

    def one_step(self, batches: list[Batch]) -> float:
        step = self.info["step"]
        coarse, psnr = schedule.loss_terms(step, self.branch)

        def loss_of(batch: Batch) -> Tensor:
            x, y = (t.to(self.device, memory_format=torch.channels_last) for t in batch)
            with self.precision():
                output, background = self.model(x)
            return restoration_loss(output, background, y, coarse, psnr)

        total = self.parts.back(batches, loss_of)
        if not np.isfinite(total):
            raise Diverged(self.lost(f"loss is {total}"))
        norm = torch.nn.utils.clip_grad_norm_(self.params, CLIP, foreach=True).item()
        if not np.isfinite(norm):
            raise Diverged(self.lost(f"the gradient's norm is {norm} (the loss {total:.4g})"))
        for group in self.adam.param_groups:
            group["lr"] = self.rate(step)
        self.muon.step(self.rate(step))
        self.adam.step()
        self.adam.zero_grad()
        torch._foreach_lerp_(self.ema, [p.data for p in self.params], 1 - min(EMA_DECAY, (step + 1) / (step + 10)))
        self.info["step"] = step + 1
        side = batches[0].clean.shape[-1]
        self.info["crop"] = side if self.branch else max(self.info["crop"], side)
        return total

    def log(self, **entry: Any) -> None:
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "step": self.info["step"],
                           "phase": "release" if self.branch else "constant"} | entry)
        with open(self.folder / "log.jsonl", "a") as f:
            f.write(line + "\n")
        print(line, flush=True)

    def validate(self) -> dict[str, dict[str, float]]:
        """Input and output PSNR of the EMA weights on the middle 192² of the validation sets."""
        kept = [p.data.clone() for p in self.params]
        for p, e in zip(self.params, self.ema, strict=True):
            p.data.copy_(e)
        try:
            with torch.no_grad(), self.precision():
                return self.validation.scores(lambda x: self.model(x)[0], self.device)
        finally:
            for p, k in zip(self.params, kept, strict=True):
                p.data.copy_(k)

    def wait_while_paused(self) -> float:
        """Seconds waited for the pause file to go."""
        if not self.args.pause_file.exists():
            return 0.0
        begin = time.monotonic()
        self.save()
        self.log(event="paused")
        while self.args.pause_file.exists() and not self.stop:
            time.sleep(1)
        self.log(event="resumed")
        return time.monotonic() - begin

    def go(self, until_step: float, until_seconds: float) -> None:
        """Steps until either bound, a signal, or what is not a number."""
        first = self.info["step"]

        def on() -> bool:
            return not self.stop and self.info["step"] < until_step and self.info["seconds"] < until_seconds

        if not on():
            return
        feed = prefetch(self.sampler, self.info["seed"], first, self.plan)
        saved = validated = logged = time.monotonic()
        begin, base, paused, images, losses, wait = time.monotonic(), self.info["seconds"], 0.0, 0, [], 0.0
        try:
            while on():
                asked = time.monotonic()
                batches = next(feed)
                wait += time.monotonic() - asked
                losses.append(self.one_step(batches))
                images += sum(len(b.clean) for b in batches)
                now = time.monotonic()
                self.info["seconds"] = base + now - begin - paused
                validates = now - validated > 60 * self.args.validate_minutes
                if validates or now - saved > 60 * self.args.checkpoint_minutes:
                    self.save()  # before validating, which takes long enough to lose something
                    saved = now
                if len(losses) == 50:
                    self.log(loss=round(float(np.mean(losses)), 5), rate=self.rate(self.info["step"]),
                             step_s=round((now - logged) / 50, 3), images_per_s=round(images / (now - logged), 2),
                             data_wait_s=round(wait / 50, 4))
                    losses, images, wait, logged = [], 0, 0.0, now
                if validates:
                    self.log(validation=self.validate())
                    validated = logged = time.monotonic()
                    losses, images, wait = [], 0, 0.0
                waited = self.wait_while_paused()
                if waited:
                    paused += waited
                    saved = logged = time.monotonic()
                    losses, images, wait = [], 0, 0.0
        finally:
            feed.close()
        if self.info["step"] > first:
            self.save()

    def release(self) -> None:
        """The EMA weights of a finished branch, with their validation, under the authors' names."""
        self.check_finite()
        scores = self.validate()
        by_id = {id(p): e for p, e in zip(self.params, self.ema, strict=True)}  # shared PReLUs have several names
        names = self.model.named_parameters(remove_duplicate=False)
        new = self.folder / "release.new.safetensors"
        write_tensors({n: by_id[id(p)].cpu().contiguous().clone() for n, p in names}, new, release_metadata(self.info))
        replace_file(new, self.folder / "release.safetensors")
        self.log(event="released", validation=scores)


def train(run: Run) -> int:
    """The sitting, and the exit code that it ends with."""
    try:
        sit(run)
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
            parts, info = load_state(run.folder / "state")
            save_state(args.save_state, parts, info)
        run.lock.close()  # last: another trainer would write what is being copied


if __name__ == "__main__":
    sys.exit(main())
