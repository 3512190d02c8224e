"""One sitting: the constant part, then the branch that decays it. One that was cut off is finished when asked for again."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from training.schedule import Branch
from training.state import StateError, load_info, replace_file

if TYPE_CHECKING:
    from training.train import Run

DECAY = 0.25  # of a whole sitting


def began(run: Run) -> dict[str, float]:
    """{step, seconds} at which the sitting began: of the one cut off, where its options are these, else of a new one."""
    asked = {k: getattr(run.args, k) for k in ("phase", "hours", "steps")}
    file = run.folder / "sitting.json"
    try:
        kept = json.loads(file.read_text())
        if kept["asked"] == asked and kept["step"] <= run.info["step"]:
            return kept
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none was cut off
    new = {"asked": asked, "step": run.info["step"], "seconds": run.info["seconds"]}
    part = file.with_suffix(".new")
    part.write_text(json.dumps(new) + "\n")
    replace_file(part, file)
    return new


def unfinished(run: Run) -> bool:
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


def length(run: Run, begin: dict[str, float]) -> int:
    """Steps of a new branch. By hours, from the time that a step of this sitting took, else of the run so far."""
    args, part = run.args, DECAY if run.args.phase == "both" else 1.0
    if args.steps is not None:
        return max(int(part * args.steps), 1)
    if args.phase == "both" and run.info["step"] > begin["step"]:
        speed = (run.info["seconds"] - begin["seconds"]) / (run.info["step"] - begin["step"])
    else:
        speed = run.info["seconds"] / max(run.info["step"], 1)
    if speed <= 0:
        raise StateError("a branch's --hours are counted in steps, and no step has been timed yet; pass --steps")
    return max(int(part * args.hours * 3600 / (speed * 1.1)), 1)


def sit(run: Run) -> None:
    """Until the sitting's end, or until the run is told to stop."""
    args = run.args
    begin = began(run)
    resumed = unfinished(run) if args.phase != "constant" else False
    if args.phase != "release" and not resumed:
        if args.steps is not None:
            run.go(begin["step"] + args.steps - (length(run, begin) if args.phase == "both" else 0), float("inf"))
        else:
            part = 1 - DECAY if args.phase == "both" else 1.0
            run.go(float("inf"), begin["seconds"] + part * args.hours * 3600)
        if not run.stop:
            run.log(validation=run.validate())
    if run.stop:
        return
    if args.phase != "constant":
        if resumed:
            try:
                run.load(run.folder / "branch")
            except StateError as error:
                raise StateError(f"{error}; or delete '{run.folder / 'branch'}' to branch anew from the state") from error
            run.log(event="branch resumed", first=run.branch.first, last=run.branch.last, last_crop=run.branch.last_crop)
        else:
            first = run.info["step"]
            run.branch = Branch(first, first + length(run, begin), args.last_crop)
            run.info["crop"] = 0
        run.go(run.branch.last, float("inf"))
        if run.stop:
            return
        run.release()
    # the sitting's end first: a branch that is left behind is only released once more
    (run.folder / "sitting.json").unlink(missing_ok=True)
    if args.phase != "constant":
        shutil.rmtree(run.folder / "branch", ignore_errors=True)
