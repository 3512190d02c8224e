"""One training session: the constant part, then the branch that decays it. One that was cut off is finished when asked for again."""

from __future__ import annotations

import json
import shutil

from training.loop import train_until
from training.run import Run
from training.schedule import Branch
from training.state import StateError, load_info, replace_file

DECAY_SHARE = 0.25  # of a whole session


def begin_session(run: Run) -> dict[str, float]:
    """{step, seconds} at which the session began: of the one cut off, where its options are these, else of a new one."""
    asked = {k: getattr(run.args, k) for k in ("phase", "hours", "steps")}
    file = run.folder / "session.json"
    try:
        kept = json.loads(file.read_text())
        if kept["asked"] == asked and kept["step"] <= run.info["step"]:
            return kept
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none was cut off
    begin = {"asked": asked, "step": run.info["step"], "seconds": run.info["seconds"]}
    part = file.with_suffix(".new")
    part.write_text(json.dumps(begin) + "\n")
    replace_file(part, file)
    return begin


def unfinished_branch(run: Run) -> bool:
    """Whether there is a branch from the present state to finish; one from an earlier state is dropped."""
    folder = run.folder / "branch"
    if not folder.exists():
        return False
    first = load_info(folder).get("branch", {}).get("first")
    if first == run.info["step"]:
        return True
    run.log(event="branch dropped", first=first, reason=f"the state has gone on to step {run.info['step']}")
    shutil.rmtree(folder)
    return False


def branch_steps(run: Run, begin: dict[str, float]) -> int:
    """Steps of a new branch. By hours, from the time that a step of this session took, else of the run so far."""
    args, part = run.args, DECAY_SHARE if run.args.phase == "both" else 1.0
    if args.steps is not None:
        return max(int(part * args.steps), 1)
    if args.phase == "both" and run.info["step"] > begin["step"]:
        seconds_a_step = (run.info["seconds"] - begin["seconds"]) / (run.info["step"] - begin["step"])
    else:
        seconds_a_step = run.info["seconds"] / max(run.info["step"], 1)
    if seconds_a_step <= 0:
        raise StateError("a branch's --hours are counted in steps, and no step has been timed yet; pass --steps")
    return max(int(part * args.hours * 3600 / (seconds_a_step * 1.1)), 1)


def train_constant(run: Run, begin: dict[str, float]) -> None:
    """The part at a constant rate, and the validation that ends it."""
    args = run.args
    if args.steps is not None:
        train_until(run, begin["step"] + args.steps - (branch_steps(run, begin) if args.phase == "both" else 0), float("inf"))
    else:
        part = 1 - DECAY_SHARE if args.phase == "both" else 1.0
        train_until(run, float("inf"), begin["seconds"] + part * args.hours * 3600)
    if not run.stop:
        run.log(validation=run.validate())


def train_branch(run: Run, begin: dict[str, float], resumed: bool) -> None:
    """The decay branch and, unless the run is told to stop, its release."""
    folder = run.folder / "branch"
    if resumed:
        try:
            run.load(folder)
        except StateError as error:
            raise StateError(f"{error}; or delete '{folder}' to branch anew from the state") from error
        run.log(event="branch resumed", first=run.branch.first, last=run.branch.last, last_crop=run.branch.last_crop)
    else:
        first = run.info["step"]
        run.branch = Branch(first, first + branch_steps(run, begin), run.args.last_crop, run.args.rate)
        run.info["crop"] = 0
    train_until(run, run.branch.last, float("inf"))
    if not run.stop:
        run.release()


def run_session(run: Run) -> None:
    """Until the session's end, or until the run is told to stop."""
    phase = run.args.phase
    begin = begin_session(run)
    resumed = phase != "constant" and unfinished_branch(run)
    if phase != "release" and not resumed:
        train_constant(run, begin)
    if phase != "constant" and not run.stop:
        train_branch(run, begin, resumed)
    if run.stop:
        return
    # the session's end first: a branch that is left behind is only released once more
    (run.folder / "session.json").unlink(missing_ok=True)
    if phase != "constant":
        shutil.rmtree(run.folder / "branch", ignore_errors=True)
