"""Steps of a run until a bound: checkpoints, validation and log lines by the clock, and waiting while paused."""

from __future__ import annotations

import time

import numpy as np

from training.data import Batch, prefetch
from training.run import Run

LOG_STEPS = 50


class Meter:
    """Means over the steps since the last log line; what interrupts the steps begins it anew."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.begin, self.losses, self.images, self.wait = time.monotonic(), [], 0, 0.0

    def add(self, loss: float, batches: list[Batch], wait: float) -> None:
        self.losses.append(loss)
        self.images += sum(len(b.clean) for b in batches)
        self.wait += wait

    def log(self, run: Run) -> None:
        seconds, steps = time.monotonic() - self.begin, len(self.losses)
        run.log(loss=round(float(np.mean(self.losses)), 5), rate=run.rate(run.info["step"]), step_s=round(seconds / steps, 3),
                images_per_s=round(self.images / seconds, 2), data_wait_s=round(self.wait / steps, 4))
        self.reset()


def wait_while_paused(run: Run) -> float:
    """Seconds waited for the pause file to go."""
    if not run.args.pause_file.exists():
        return 0.0
    begin = time.monotonic()
    run.save()
    run.log(event="paused")
    while run.args.pause_file.exists() and not run.stop:
        time.sleep(1)
    run.log(event="resumed")
    return time.monotonic() - begin


def train_until(run: Run, max_step: float, max_seconds: float) -> None:
    """Steps until either bound of the run's count, a signal, or what is not a number."""
    first = run.info["step"]

    def on() -> bool:
        return not run.stop and run.info["step"] < max_step and run.info["seconds"] < max_seconds

    if not on():
        return
    feed = prefetch(run.sampler, run.info["seed"], first, run.plan)
    meter = Meter()
    saved = validated = begin = time.monotonic()
    base = run.info["seconds"]
    try:
        while on():
            asked = time.monotonic()
            batches = next(feed)
            wait = time.monotonic() - asked
            meter.add(run.one_step(batches), batches, wait)
            now = time.monotonic()
            run.info["seconds"] = base + now - begin
            validates = now - validated > 60 * run.args.validate_minutes
            if validates or now - saved > 60 * run.args.checkpoint_minutes:
                run.save()  # before validating, which takes long enough to lose something
                saved = now
            if len(meter.losses) == LOG_STEPS:
                meter.log(run)
            if validates:
                run.log(validation=run.validate())
                validated = time.monotonic()
                meter.reset()
            paused = wait_while_paused(run)
            if paused:
                begin += paused
                saved = time.monotonic()
                meter.reset()
    finally:
        feed.close()
    if run.info["step"] > first:
        run.save()
