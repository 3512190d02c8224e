"""Sessions: what they release, and that one cut off anywhere ends as if it had not been."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training import train
from training.model import create_elf
from training.run import Run
from training.state import load_state
from training.tests.runs import options, same

pytestmark = pytest.mark.usefixtures("short")


def events(run: Path) -> list[str]:
    return [e["event"] for e in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if "event" in e]


def cut_off_at(monkeypatch, step: int) -> None:
    """As a signal would, once that step is made."""
    whole = Run.one_step

    def one_step(self, batches):
        loss = whole(self, batches)
        self.stop = self.info["step"] == step
        return loss

    monkeypatch.setattr(Run, "one_step", one_step)


def test_a_session_releases_its_branch_and_keeps_the_undecayed_state(data, tmp_path):
    assert train.main(options(data, tmp_path / "r", "--steps", "4")) == 0
    _, info = load_state(tmp_path / "r" / "state")
    assert info["step"] == 3 and not (tmp_path / "r" / "branch").exists()
    released = load_file(str(tmp_path / "r" / "release.safetensors"))
    assert released.keys() == create_elf("elf-lw", 16).state_dict().keys()
    log = [json.loads(line) for line in (tmp_path / "r" / "log.jsonl").read_text().splitlines()]
    assert [e["event"] for e in log if "event" in e] == ["start", "released", "done"]
    assert set(log[-2]["validation"]) == {"light", "heavy", "mixed"}


@pytest.mark.parametrize("step", [2, 7])  # of eight: in the six at a constant rate, and in the branch
def test_one_cut_off_goes_on_to_the_same_release(step, data, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "plan", lambda self, s: (1, 64, 1) if not self.branch or s < 7 else (1, self.branch.last_crop // 4, 2))
    session = ("--steps", "8", "--last-crop", "128")
    assert train.main(options(data, tmp_path / "once", *session)) == 0
    run = tmp_path / "cut"
    with monkeypatch.context() as m:
        cut_off_at(m, step)
        assert train.main(options(data, run, *session)) == 0
    assert not (run / "release.safetensors").exists()
    assert train.main(options(data, run, *session)) == 0
    assert same(tmp_path / "once" / "state", run / "state")
    a, b = (load_file(str(r / "release.safetensors")) for r in (tmp_path / "once", run))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not (run / "session.json").exists() and not (run / "branch").exists()


def test_a_branch_cut_off_keeps_its_last_crop(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "plan", lambda self, s: (1, 64, 1) if not self.branch or s < 2 else (1, self.branch.last_crop // 2, 1))
    first = ("--steps", "1", "--phase", "constant")
    for run in ("once", "cut"):
        assert train.main(options(data, tmp_path / run, *first)) == 0
    assert train.main(options(data, tmp_path / "once", "--steps", "3", "--phase", "release", "--last-crop", "192")) == 0
    with monkeypatch.context() as m:
        cut_off_at(m, 2)
        assert train.main(options(data, tmp_path / "cut", "--steps", "3", "--phase", "release", "--last-crop", "192")) == 0
    # other options: the branch is finished as it was begun
    assert train.main(options(data, tmp_path / "cut", "--steps", "9", "--phase", "release", "--last-crop", "128")) == 0
    a, b = (load_file(str(tmp_path / r / "release.safetensors")) for r in ("once", "cut"))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert "branch resumed" in events(tmp_path / "cut")


def test_other_bounds_begin_a_session_of_their_own(data, tmp_path, monkeypatch):
    with monkeypatch.context() as m:
        cut_off_at(m, 1)
        assert train.main(options(data, tmp_path / "o", "--steps", "3", "--phase", "constant")) == 0
    assert train.main(options(data, tmp_path / "o", "--steps", "3", "--phase", "constant")) == 0
    assert load_state(tmp_path / "o" / "state")[1]["step"] == 3
    assert train.main(options(data, tmp_path / "o", "--steps", "3", "--phase", "constant")) == 0
    assert load_state(tmp_path / "o" / "state")[1]["step"] == 6


def test_a_branch_from_an_earlier_state_is_dropped(data, tmp_path, monkeypatch):
    run = tmp_path / "s"
    assert train.main(options(data, run, "--steps", "1", "--phase", "constant")) == 0
    with monkeypatch.context() as m:
        cut_off_at(m, 2)
        assert train.main(options(data, run, "--steps", "3", "--phase", "release")) == 0
    assert train.main(options(data, run, "--steps", "4", "--phase", "constant")) == 0
    assert train.main(options(data, run, "--steps", "1", "--phase", "release")) == 0
    assert "branch dropped" in events(run) and "branch resumed" not in events(run)
    dropped = next(e for e in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if e.get("event") == "released")
    assert dropped["step"] == 6  # five constant, one of the new branch


def test_a_torn_branch_is_one_clear_line(data, tmp_path, monkeypatch, capsys):
    run = tmp_path / "t"
    with monkeypatch.context() as m:
        cut_off_at(m, 2)
        assert train.main(options(data, run, "--steps", "2", "--phase", "constant")) == 0
        cut_off_at(m, 3)
        assert train.main(options(data, run, "--steps", "2", "--phase", "release")) == 0
    (run / "branch" / "ema.safetensors").unlink()
    assert train.main(options(data, run, "--steps", "2", "--phase", "release")) == 2
    message = capsys.readouterr().err
    assert "lacks ema.safetensors" in message and "or delete" in message and "Traceback" not in message
    shutil.rmtree(run / "branch")
    assert train.main(options(data, run, "--steps", "1", "--phase", "release")) == 0


def test_a_branch_by_hours_needs_a_timed_step(data, tmp_path, capsys):
    assert train.main(options(data, tmp_path / "h", "--hours", "1", "--phase", "release")) == 2
    assert "no step has been timed yet; pass --steps" in capsys.readouterr().err


@pytest.mark.parametrize("bound", [("--hours", "0"), ("--steps", "-3"), ("--hours", "nan")])
def test_a_session_lasts(bound, data, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train.main(options(data, tmp_path / "z", *bound))
    assert "above 0" in capsys.readouterr().err
