"""The trainer through its command: exact resumption, decay branch, signals, pauses, bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from training import train
from training.data import DataError, list_images, make_batch, prefetch, read_image
from training.losses import restoration_loss
from training.model import create_elf
from training.state import StateError, load_state, save_state
from training.tasks import TASKS


def options(data: Path, run: Path, *more: str, task: str = "lowlight") -> list[str]:
    return ["--task", task, "--preset", "elf-lw", "--channels", "16", "--data", str(data), "--run", str(run),
            "--pause-file", str(run / "pause"), "--validate-count", "1", *more]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(os, "nice", lambda n: 0)  # a test must not slow its own process for ever
    monkeypatch.setattr(train.Run, "plan", lambda self, step: (1, 64, 2 if self.branch else 1))
    torch.set_num_threads(1)


def same(a: Path, b: Path) -> bool:
    (pa, ia), (pb, ib) = load_state(a), load_state(b)
    assert ia["step"] == ib["step"]
    return all(torch.equal(pa[part][k], pb[part][k]) for part in pa for k in pa[part])


def test_resumes_exactly(data, tmp_path):
    """Four steps at once and two sittings of two steps end in the same weights, EMA and moments, to the bit."""
    assert train.main(options(data, tmp_path / "once", "--steps", "4", "--phase", "constant")) == 0
    for _ in range(2):
        assert train.main(options(data, tmp_path / "twice", "--steps", "2", "--phase", "constant")) == 0
    assert same(tmp_path / "once" / "state", tmp_path / "twice" / "state")


def test_resumes_from_a_saved_copy(data, tmp_path):
    assert train.main(options(data, tmp_path / "a", "--steps", "2", "--phase", "constant", "--save-state", str(tmp_path / "copy"))) == 0
    for source in (["--resume", str(tmp_path / "copy")], []):
        run = tmp_path / ("b" if source else "a")
        assert train.main(options(data, run, "--steps", "1", "--phase", "constant", *source)) == 0
    assert same(tmp_path / "a" / "state", tmp_path / "b" / "state")


def test_a_sitting_releases_its_branch_and_keeps_the_undecayed_state(data, tmp_path):
    assert train.main(options(data, tmp_path / "r", "--steps", "4")) == 0
    _, info = load_state(tmp_path / "r" / "state")
    assert info["step"] == 3 and not (tmp_path / "r" / "branch").exists()
    released = load_file(str(tmp_path / "r" / "release.safetensors"))
    assert released.keys() == create_elf("elf-lw", 16).state_dict().keys()
    log = [json.loads(line) for line in (tmp_path / "r" / "log.jsonl").read_text().splitlines()]
    assert [e["event"] for e in log if "event" in e] == ["start", "released", "done"]
    assert set(log[-2]["validation"]) == {"light", "heavy", "mixed"}


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
    monkeypatch.setattr(train, "restoration_loss", lambda *a: restoration_loss(*a) * float("nan"))
    assert train.main(options(data, run, "--steps", "2", "--phase", "constant")) == 3
    assert "loss is nan at step 1" in capsys.readouterr().err
    assert before == {f.name: f.read_bytes() for f in (run / "state").iterdir()}


def test_two_trainers_never_share_a_folder(data, tmp_path, capsys):
    with train.hold(tmp_path / "l"):
        assert train.main(options(data, tmp_path / "l", "--steps", "1")) == 2
    assert "another training holds" in capsys.readouterr().err


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda d: d.rename(d.with_name("gone")), "does not exist; pass --data"),
    (lambda d: (d / "train-clean/a/1.png").write_bytes(b"\x89PNG no"), "1.png' as a picture (7 bytes)"),
])
def test_bad_data_is_named(data, tmp_path, capsys, spoil, message):
    spoil(data)
    assert train.main(options(data, tmp_path / "d", "--steps", "1")) == 2
    assert message in capsys.readouterr().err


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
    parts = {k: {"x": torch.ones(3)} for k in ("weights", "ema", "adam_m", "adam_v")}
    save_state(tmp_path / "state", parts, {"step": 1})
    (tmp_path / "state").rename(tmp_path / "state.old")
    assert load_state(tmp_path / "state")[1] == {"step": 1}


def test_a_torn_state_is_refused(tmp_path):
    parts = {k: {"x": torch.ones(3)} for k in ("weights", "ema", "adam_m", "adam_v")}
    save_state(tmp_path / "state", parts, {"step": 1})
    (tmp_path / "state" / "ema-1-of-1.safetensors").unlink()
    with pytest.raises(StateError, match="lacks shards of ema"):
        load_state(tmp_path / "state")


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_is_a_function_of_seed_and_step(task, data, tmp_path, monkeypatch):
    monkeypatch.setattr("training.synthesis.rain.create_bank.__defaults__", (12, 96, None))
    sample = TASKS[task].sampler(data, tmp_path / "cache")
    a, b = (make_batch(sample, 1, 7, 3, 64) for _ in range(2))
    assert torch.equal(a.degraded, b.degraded) and torch.equal(a.clean, b.clean)
    assert a.degraded.shape == (3, 3, 64, 64) and 0 <= float(a.degraded.min()) and float(a.degraded.max()) <= 1
    feed = prefetch(sample, 1, 7, lambda step: (3, 64))
    assert torch.equal(next(feed).degraded, a.degraded)
    feed.close()


def test_an_error_in_the_feeding_thread_reaches_the_caller():
    def broken(rng: np.random.Generator, side: int):
        raise DataError("no such photo")

    with pytest.raises(DataError, match="no such photo"):
        next(prefetch(broken, 1, 0, lambda step: (1, 64)))


def test_listing_is_sorted_and_says_what_is_wrong(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="holds no pictures"):
        list_images(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match="cannot read"):
        read_image(tmp_path / "empty.png")
