"""The trainer through its command: exact resumption, signals, kills, pauses, what is not a number, bad input."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from training import run as run_module
from training import state, train
from training.data import DataError, list_images, make_batch, prefetch, read_image
from training.losses import restoration_loss
from training.model import create_elf
from training.run import Run
from training.state import StateError, check_fit, load_state, save_state
from training.tasks import TASKS
from training.tests.runs import options, same

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
pytestmark = pytest.mark.usefixtures("short")


def test_resumes_exactly(data, tmp_path):
    """Four steps at once and two sessions of two steps end in the same weights, EMA and moments, to the bit."""
    assert train.main(options(data, tmp_path / "once", "--steps", "4", "--phase", "constant")) == 0
    for _ in range(2):
        assert train.main(options(data, tmp_path / "twice", "--steps", "2", "--phase", "constant")) == 0
    assert same(tmp_path / "once" / "state", tmp_path / "twice" / "state")


def test_a_checkpoint_is_small_and_resumes_without_moments(data, tmp_path):
    run, copy = tmp_path / "a", tmp_path / "copy"
    assert train.main(options(data, run, "--steps", "2", "--phase", "constant", "--save-state", str(copy))) == 0
    parts, info = load_state(copy)
    exact = load_state(run / "state")
    assert info == exact[1] and parts.keys() == {"weights", "ema"}
    for part, tensors in parts.items():
        assert all(torch.equal(t, exact[0][part][k].bfloat16().float()) for k, t in tensors.items())
    # names and shapes take some 60 kB a part whatever the width
    numbers = sum(t.numel() for t in parts["weights"].values())
    assert sum(f.stat().st_size for f in copy.iterdir()) < 4 * numbers + 130_000
    assert train.main(options(data, tmp_path / "b", "--steps", "1", "--phase", "constant", "--resume", str(copy))) == 0
    again = load_state(tmp_path / "b" / "state")
    assert again[1]["step"] == 3 and again[1]["adam_steps"] == 1 and "momentum" in again[0]


@pytest.mark.parametrize("name", [f.name for f in CHECKPOINTS.iterdir() if f.is_dir()])
def test_every_kept_checkpoint_loads_and_stays_small(name):
    parts, info = load_state(CHECKPOINTS / name)
    named = dict(create_elf(info["preset"]).named_parameters())
    check_fit(named, parts["weights"], CHECKPOINTS / name, info["preset"])
    check_fit(named, parts["ema"], CHECKPOINTS / name, info["preset"])
    assert sum(f.stat().st_size for f in (CHECKPOINTS / name).iterdir()) <= 5.5 * sum(p.numel() for p in named.values())


def test_sigterm_checkpoints_and_the_pause_file_waits(data, tmp_path):
    run = tmp_path / "s"
    run.mkdir()
    (run / "pause").touch()
    process = subprocess.Popen([sys.executable, "-m", "training.train", *options(data, run, "--hours", "1", "--threads", "1")],
                               cwd=Path(train.__file__).parents[1], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if json.loads(line).get("event") == "paused":
                break
        step = load_state(run / "state")[1]["step"]
        time.sleep(1.5)
        (run / "pause").unlink()
        assert json.loads(process.stdout.readline())["event"] == "resumed"
        process.send_signal(signal.SIGTERM)
        rest = [json.loads(line) for line in process.stdout]
        assert process.wait(60) == 0 and rest[-1]["event"] == "stopped"
    finally:
        process.kill()
    assert load_state(run / "state")[1]["step"] >= step


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_state(data, tmp_path, monkeypatch, capsys):
    run = tmp_path / "n"
    assert train.main(options(data, run, "--steps", "1", "--phase", "constant")) == 0
    before = {f.name: f.read_bytes() for f in (run / "state").iterdir()}
    monkeypatch.setattr(run_module, "restoration_loss", lambda *a: restoration_loss(*a) * float("nan"))
    assert train.main(options(data, run, "--steps", "2", "--phase", "constant")) == 3
    assert "loss is nan at step 1" in capsys.readouterr().err
    assert before == {f.name: f.read_bytes() for f in (run / "state").iterdir()}


def test_a_gradient_that_is_not_a_number_stops_before_it_is_applied(data, tmp_path, monkeypatch, capsys):
    run = tmp_path / "g"
    assert train.main(options(data, run, "--steps", "1", "--phase", "constant")) == 0
    before = {f.name: f.read_bytes() for f in (run / "state").iterdir()}
    # finite itself, while the root's slope at 0 is not
    monkeypatch.setattr(run_module, "restoration_loss", lambda output, *rest: restoration_loss(output, *rest) + (output * 0).sqrt().sum() * 0)
    assert train.main(options(data, run, "--steps", "1", "--phase", "constant")) == 3
    assert "the gradient's norm is nan" in capsys.readouterr().err
    assert before == {f.name: f.read_bytes() for f in (run / "state").iterdir()}


def test_weights_that_are_not_numbers_are_neither_kept_nor_released(data, tmp_path, monkeypatch, capsys):
    run, step = tmp_path / "w", Run.one_step

    def spoilt(self, batches):
        loss = step(self, batches)
        (list(self.ema.values()) if self.branch else self.params)[3].data.fill_(float("inf"))
        return loss

    assert train.main(options(data, run, "--steps", "1", "--phase", "constant")) == 0
    monkeypatch.setattr(Run, "one_step", spoilt)
    for phase, kind in (("constant", "weight"), ("release", "moving average")):
        assert train.main(options(data, run, "--steps", "1", "--phase", phase)) == 3
        assert f"train: {kind} '" in capsys.readouterr().err
    assert load_state(run / "state")[1]["step"] == 1
    assert not (run / "release.safetensors").exists() and not (run / "branch").exists()


def test_resumed_optimiser_state_lies_where_its_parameter_does(data, tmp_path):
    """The fused step on CUDA refuses a count of steps that lies elsewhere."""
    assert train.main(options(data, tmp_path / "o", "--steps", "1", "--phase", "constant")) == 0
    resumed = Run(train.parse(options(data, tmp_path / "o", "--steps", "1"), ""))
    states = [(p, s) for p, s in resumed.optimisers.adam.state.items()]
    assert states and all(v.device == p.device for p, s in states for v in s.values())
    resumed.lock.close()


def test_a_kill_loses_nothing_that_was_logged_after_a_checkpoint(data, tmp_path):
    """Killed without warning; with no minutes between checkpoints, what the log tells of is on the disk."""
    run = tmp_path / "k"
    process = subprocess.Popen([sys.executable, "-m", "training.train", *options(data, run, "--hours", "1", "--threads", "1"),
                                "--checkpoint-minutes", "0", "--validate-minutes", "0"],
                               cwd=Path(train.__file__).parents[1], stdout=subprocess.PIPE, text=True)
    try:
        logged = [entry["step"] for entry, _ in zip((e for e in map(json.loads, process.stdout) if "validation" in e), range(2), strict=False)]
    finally:
        process.kill()
        process.wait(60)
    assert logged == [1, 2]
    kept = load_state(run / "state")[1]["step"]
    assert kept >= logged[-1]
    assert train.main(options(data, run, "--steps", "1", "--phase", "constant")) == 0
    assert load_state(run / "state")[1]["step"] == kept + 1


def test_two_trainers_never_share_a_folder(data, tmp_path, capsys):
    with state.lock_folder(tmp_path / "l"):
        assert train.main(options(data, tmp_path / "l", "--steps", "1")) == 2
    assert "another training holds" in capsys.readouterr().err


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda d: d.rename(d.with_name("gone")), "does not exist; pass --data"),
    (lambda d: (d / "train-clean/a/1.png").write_bytes(b"\x89PNG no"), "1.png' as a picture (7 bytes)"),
    (lambda d: (d / "val-clean").rename(d / "gone"), "val-clean' does not exist; pass --data"),
    (lambda d: (d / "val-clean/b/0.png").write_bytes(b"\x89PNG no"), "0.png' as a picture (7 bytes)"),
    (lambda d: cv2.imwrite(str(d / "val-clean/b/0.png"), np.zeros((100, 300, 3))), "has 300×100 pixels; validation needs 192×192"),
])
def test_bad_data_is_named_before_the_first_step(data, tmp_path, capsys, spoil, message):
    spoil(data)
    assert train.main(options(data, tmp_path / "d", "--steps", "1")) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "d" / "state").exists() and not list(tmp_path.rglob("*.part"))


def test_weights_of_another_preset_are_refused_by_name(data, tmp_path, capsys):
    file = tmp_path / "elf.safetensors"
    save_file({k: v.contiguous().clone() for k, v in create_elf("elf", 16).state_dict().items()}, str(file))
    assert train.main(options(data, tmp_path / "p", "--steps", "1", "--init", str(file))) == 2
    assert "does not hold weights of preset 'elf-lw'" in capsys.readouterr().err


def test_a_state_of_another_task_is_refused(data, tmp_path, capsys):
    assert train.main(options(data, tmp_path / "t", "--steps", "1", "--phase", "constant")) == 0
    assert train.main(options(data, tmp_path / "u", "--steps", "1", "--resume", str(tmp_path / "t" / "state"), task="underwater")) == 2
    assert "holds task 'lowlight', not 'underwater'" in capsys.readouterr().err


def test_a_crash_between_the_renames_loses_nothing(tmp_path):
    parts = {k: {"x": torch.ones(3)} for k in ("weights", "ema", "momentum", "exp_avg", "exp_avg_sq")}
    save_state(tmp_path / "state", parts, {"step": 1})
    (tmp_path / "state").rename(tmp_path / "state.old")
    assert load_state(tmp_path / "state")[1]["step"] == 1


def test_a_torn_state_is_refused(tmp_path):
    parts = {k: {"x": torch.ones(3)} for k in ("weights", "ema", "momentum", "exp_avg", "exp_avg_sq")}
    save_state(tmp_path / "state", parts, {"step": 1})
    (tmp_path / "state" / "ema.safetensors").unlink()
    with pytest.raises(StateError, match="lacks ema.safetensors"):
        load_state(tmp_path / "state")


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_is_a_function_of_seed_and_step(task, data, tmp_path, monkeypatch):
    monkeypatch.setattr("training.synthesis.rain.create_bank.__defaults__", (12, 96, None))
    sample = TASKS[task].sampler(data, tmp_path / "cache")
    a, b = (make_batch(sample, 1, 7, 3, 64) for _ in range(2))
    assert torch.equal(a.degraded, b.degraded) and torch.equal(a.clean, b.clean)
    assert a.degraded.shape == (3, 3, 64, 64) and float(a.degraded.min()) >= 0 and float(a.degraded.max()) <= 1
    feed = prefetch(sample, 1, 7, lambda step: (3, 64, step - 6))
    (only,), (one, other) = next(feed), next(feed)
    assert torch.equal(only.degraded, a.degraded)
    assert torch.equal(one.degraded, make_batch(sample, 1, 8, 3, 64).degraded) and not torch.equal(one.degraded, other.degraded)
    feed.close()


def test_an_error_in_the_feeding_thread_reaches_the_caller():
    def broken(rng: np.random.Generator, side: int):
        raise DataError("no such photo")

    with pytest.raises(DataError, match="no such photo"):
        next(prefetch(broken, 1, 0, lambda step: (1, 64, 1)))


def test_listing_is_sorted_and_says_what_is_wrong(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="holds no pictures"):
        list_images(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match="cannot read"):
        read_image(tmp_path / "empty.png")
