"""One command trains one model, for a sitting of some hours, and can be stopped at any time.

    python -m training.train --task derain --preset elf-lw --data ../shared/data --hours 2

A sitting is three quarters at a constant rate, then a branch that decays it to nearly nothing and releases its
EMA weights. The next sitting resumes from where the branch left off, not from the branch. See training/README.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a spinning barrier starves, and is starved by, other work

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from training.data import DataError, prefetch
from training.losses import restoration_loss
from training.memory import keep_memory
from training.metrics import score
from training.model import PRESETS, create_elf
from training.muon import optimisers
from training.state import StateError, check_fit, load_state, load_weights, recover, save_state
from training.tasks import SETS, TASKS, validation_set

RATE, FINAL_RATE, WARMUP = 1e-3, 1e-6, 500
EMA_DECAY, CLIP = 0.999, 1.0
LAST_CROPS = {256: (1, 256, 2), 192: (2, 192, 1), 128: (4, 128, 1)}  # side: pictures, side, accumulated batches
COARSE_FULL_UNTIL = 8000  # steps; a trained coarse branch needs the weight of its loss no longer


class Diverged(Exception):
    """A loss that is not a number."""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="python -m training.train", description=__doc__.splitlines()[0])
    p.add_argument("--task", choices=sorted(TASKS), required=True)
    p.add_argument("--preset", choices=sorted(PRESETS), required=True)
    p.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds train-clean/ and val-clean/")
    length = p.add_mutually_exclusive_group(required=True)
    length.add_argument("--hours", type=float, help="of training, pauses not counted")
    length.add_argument("--steps", type=int)
    p.add_argument("--phase", choices=("both", "constant", "release"), default="both",
                   help="the whole sitting, only its constant part, or only the decay branch")
    p.add_argument("--last-crop", type=int, choices=sorted(LAST_CROPS), default=256,
                   help="side of a branch's last crops; smaller ones cost less")
    p.add_argument("--run", type=Path, help="working state (default training/runs/<task>-<preset>)")
    p.add_argument("--resume", type=Path, help="a saved state to start from where the run folder has none")
    p.add_argument("--init", type=Path, help="bare safetensors weights to start from where there is no state")
    p.add_argument("--save-state", type=Path, help="also copy the undecayed state here at the end")
    p.add_argument("--pause-file", type=Path, default=Path(__file__).parent / "runs" / "pause",
                   help="while it exists, training checkpoints and waits")
    p.add_argument("--threads", type=int, default=0, help="0: torch's choice")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--checkpoint-minutes", type=float, default=5)
    p.add_argument("--validate-minutes", type=float, default=20)
    p.add_argument("--validate-count", type=int, default=12, help="pictures a set while training")
    p.add_argument("--channels", type=int, help=argparse.SUPPRESS)  # narrows the network for tests
    return p.parse_args(argv)


def hold(folder: Path):
    """A lock on the run folder, so that two trainers never write one state; kept until the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w")
    if fcntl:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StateError(f"another training holds '{folder}'; stop it first, or pass another --run") from error
    return lock


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
        self.branch: dict[str, int] | None = None
        self.stop = False
        self.ema = [p.detach().clone() for p in self.params]
        self.restore()
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

    def load(self, folder: Path) -> None:
        parts, info = load_state(folder)
        for key in ("task", "preset"):
            if info[key] != self.info[key]:
                raise StateError(f"'{folder}' holds {key} '{info[key]}', not '{self.info[key]}'; pass --{key} {info[key]} or another folder")
        check_fit(dict(self.model.named_parameters()), parts["weights"], folder, self.args.preset)
        self.info = info
        for name, p, e in zip(self.names, self.params, self.ema, strict=True):
            p.data.copy_(parts["weights"][name])
            e.copy_(parts["ema"][name])
            if p in self.muon.momentum:
                self.muon.momentum[p].copy_(parts["adam_m"][name])
                continue
            self.adam.state[p] = {
                "step": torch.tensor(float(info["adam_steps"])),
                # laid out as the parameter: the fused step walks their memory side by side
                "exp_avg": torch.empty_like(p.data).copy_(parts["adam_m"][name]),
                "exp_avg_sq": torch.empty_like(p.data).copy_(parts["adam_v"][name]),
            }
        self.branch = info.get("branch")

    def save(self) -> None:
        """The undecayed state goes to `state`, a branch's to `branch`."""
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
        info = self.info | {"adam_steps": steps} | ({"branch": self.branch} if self.branch else {})
        save_state(self.folder / ("branch" if self.branch else "state"), parts, info)

    def plan(self, step: int) -> tuple[int, int, int]:
        """(pictures, side, accumulated batches) of a step; the branch ends on larger crops."""
        if self.device.type == "cuda":
            return 16, 256, 1
        if self.branch and step >= self.branch["first"] + 0.6 * (self.branch["last"] - self.branch["first"]):
            return LAST_CROPS[self.args.last_crop]
        return (2, 192, 1) if np.random.default_rng([self.info["seed"], step, 9]).random() < 0.3 else (4, 128, 1)

    def rate(self, step: int) -> float:
        if self.branch:
            done = (step - self.branch["first"]) / max(self.branch["last"] - self.branch["first"], 1)
            return RATE + (FINAL_RATE - RATE) * min(done, 1.0)
        return RATE * min(1.0, (step + 1) / WARMUP)

    def one_step(self, batches: list) -> float:
        step = self.info["step"]
        squares = bool(self.branch) and step >= self.branch["first"] + 0.4 * (self.branch["last"] - self.branch["first"])
        coarse = 0.4 if step < COARSE_FULL_UNTIL else 0.1
        total = 0.0
        for batch in batches:
            x, y = (t.to(self.device, memory_format=torch.channels_last) for t in (batch.degraded, batch.clean))
            with self.precision():
                output, background = self.model(x)
            loss = restoration_loss(output, background, y, coarse, squares) / len(batches)
            total += loss.item()
            if not np.isfinite(total):
                raise Diverged(f"loss is {total} at step {step} (seed {self.info['seed']}, crop {x.shape[-1]}); "
                               f"the state of the last checkpoint is kept in '{self.folder}'")
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, CLIP, foreach=True)
        for group in self.adam.param_groups:
            group["lr"] = self.rate(step)
        self.muon.step(self.rate(step))
        self.adam.step()
        self.adam.zero_grad()
        torch._foreach_lerp_(self.ema, [p.data for p in self.params], 1 - min(EMA_DECAY, (step + 1) / (step + 10)))
        self.info["step"] = step + 1
        self.info["crop"] = batches[0].clean.shape[-1] if self.branch else max(self.info["crop"], batches[0].clean.shape[-1])
        return total

    def log(self, **entry: Any) -> None:
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "step": self.info["step"],
                           "phase": "release" if self.branch else "constant"} | entry)
        with open(self.folder / "log.jsonl", "a") as f:
            f.write(line + "\n")
        print(line, flush=True)

    def validate(self) -> dict[str, dict[str, float]]:
        """Input and output PSNR of the EMA weights on the middle 192² of the validation sets."""
        if not hasattr(self, "sets"):
            self.sets = {s: list(validation_set(self.task, s, self.args.data, 192, self.args.validate_count)) for s in SETS}
        kept = [p.data.clone() for p in self.params]
        for p, e in zip(self.params, self.ema, strict=True):
            p.data.copy_(e)
        result = {}
        try:
            for name, pictures in self.sets.items():
                scores = []
                for _, degraded, clean in pictures:
                    x = torch.from_numpy(np.ascontiguousarray(degraded)).permute(2, 0, 1)[None].to(self.device)
                    with torch.no_grad(), self.precision():
                        y = self.model(x.contiguous(memory_format=torch.channels_last))[0]
                    y = y[0].permute(1, 2, 0).float().cpu().numpy()
                    scores.append((score(degraded, clean, self.task.luma)[0], score(y, clean, self.task.luma)[0]))
                given, got = np.minimum(np.array(scores), 60).mean(0)
                result[name] = {"input": round(float(given), 3), "output": round(float(got), 3)}
        finally:
            for p, k in zip(self.params, kept, strict=True):
                p.data.copy_(k)
        return result

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
        """Steps until either bound, a signal, or a loss that is not a number."""
        step = first = self.info["step"]
        feeds: dict[int, Any] = {}
        # an accumulated step draws its second batch from a second stream, so that each stays a function of its step
        accumulated = 2 if self.branch else 1
        for k in range(accumulated):
            feeds[k] = prefetch(self.sampler, self.info["seed"] + 1000003 * k, step, lambda s: self.plan(s)[:2])
        saved = validated = logged = time.monotonic()
        begin, base, paused, images, losses, wait = time.monotonic(), self.info["seconds"], 0.0, 0, [], 0.0
        try:
            while not self.stop and self.info["step"] < until_step and self.info["seconds"] < until_seconds:
                asked = time.monotonic()
                batches = [next(feeds[k]) for k in range(self.plan(self.info["step"])[2])]
                for k in range(len(batches), accumulated):
                    next(feeds[k])
                wait += time.monotonic() - asked
                losses.append(self.one_step(batches))
                images += sum(len(b.clean) for b in batches)
                now = time.monotonic()
                self.info["seconds"] = base + now - begin - paused
                if len(losses) == 50:
                    self.log(loss=round(float(np.mean(losses)), 5), rate=self.rate(self.info["step"]),
                             step_s=round((now - logged) / 50, 3), images_per_s=round(images / (now - logged), 2),
                             data_wait_s=round(wait / 50, 4))
                    losses, images, wait, logged = [], 0, 0.0, now
                if now - saved > 60 * self.args.checkpoint_minutes:
                    self.save()
                    saved = now
                if now - validated > 60 * self.args.validate_minutes:
                    self.log(validation=self.validate())
                    validated = logged = time.monotonic()
                    losses, images, wait = [], 0, 0.0
                waited = self.wait_while_paused()
                if waited:
                    paused += waited
                    saved = logged = time.monotonic()
                    losses, images, wait = [], 0, 0.0
        finally:
            for feed in feeds.values():
                feed.close()
        if self.info["step"] > first:
            self.save()

    def release(self) -> None:
        """The EMA weights of a finished branch, with their validation, under the authors' names."""
        scores = self.validate()
        self.log(event="released", validation=scores)
        by_id = {id(p): e for p, e in zip(self.params, self.ema, strict=True)}  # shared PReLUs have several names
        names = self.model.named_parameters(remove_duplicate=False)
        save_file(
            {n: by_id[id(p)].cpu().contiguous().clone() for n, p in names},
            str(self.folder / "release.new.safetensors"),
            {k: str(self.info[k]) for k in ("preset", "task", "step", "crop")} | {"hours": f"{self.info['seconds'] / 3600:.2f}"},
        )
        os.replace(self.folder / "release.new.safetensors", self.folder / "release.safetensors")


def sitting(run: Run) -> None:
    """The constant part, then the branch; a sitting cut off inside its branch first finishes that branch."""
    args = run.args
    seconds = args.hours * 3600 if args.hours is not None else float("inf")
    steps = args.steps if args.steps is not None else float("inf")
    unfinished = (run.folder / "branch").exists()
    if args.phase == "constant" or (args.phase == "both" and not unfinished):
        part = 0.75 if args.phase == "both" else 1.0
        first, begin = run.info["step"], run.info["seconds"]
        run.go(first + part * steps, begin + part * seconds)
        if not run.stop:
            run.log(validation=run.validate())
        speed = (run.info["seconds"] - begin) / max(run.info["step"] - first, 1)
    else:
        speed = run.info["seconds"] / max(run.info["step"], 1)
    if run.stop or args.phase == "constant":
        return
    if unfinished:
        run.load(run.folder / "branch")
    else:
        part = 0.25 if args.phase == "both" else 1.0
        length = part * (steps if args.steps is not None else seconds / max(speed * 1.1, 1e-3))
        run.branch = {"first": run.info["step"], "last": run.info["step"] + max(int(length), 1)}
        run.info["crop"] = 0
    run.go(run.branch["last"], float("inf"))
    if run.stop:
        return
    run.release()
    shutil.rmtree(run.folder / "branch", ignore_errors=True)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
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
        sitting(run)
    except Diverged as error:
        print(f"train: {error}", file=sys.stderr)
        run.log(event="diverged", message=str(error))
        return 3
    except DataError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    finally:
        gc.unfreeze()
        run.lock.close()
        if args.save_state and (run.folder / "state").exists():
            parts, info = load_state(run.folder / "state")
            save_state(args.save_state, parts, info)
    run.log(event="stopped" if run.stop else "done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
