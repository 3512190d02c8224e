"""Training state on disk: everything that the next step needs, written so that a crash never leaves half of it.

A state is a folder with `state.json` and one safetensors file a part: weights, ema, momentum (Muon's) and AdamW's exp_avg
and exp_avg_sq. The batches of a step are a function of (seed, step), so those two numbers are the random state.

There are two kinds. A run's own state is float32 and resumes to the bit. A checkpoint, which is what a repository keeps, is
weights and ema in bfloat16 (four bytes a parameter) and no moments: the optimisers begin theirs anew, which README.md measures.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FORMAT = 2
PARTS = ("weights", "ema")
MOMENTS = ("momentum", "exp_avg", "exp_avg_sq")


class StateError(Exception):
    """A checkpoint that does not fit; the message names the file and what to do."""


def lock_folder(folder: Path):
    """A lock on the run folder, so that two trainers never write one state; kept until it is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w")
    if fcntl:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise StateError(f"another training holds '{folder}'; stop it first, or pass another --run") from error
    return lock


def write_tensors(tensors: dict[str, Tensor], file: Path, metadata: dict[str, str] | None = None) -> None:
    """Contiguous tensors as safetensors, readable as the umask says: `save_file` writes for its owner alone."""
    file.write_bytes(save(tensors, metadata))


def flush(path: Path) -> None:
    """To the disk with a file's bytes, or a folder's names: a rename may otherwise outlive a power cut that its bytes do not."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(new: Path, file: Path) -> None:
    """`new` takes the place of `file`, whole whenever the machine stops."""
    flush(new)
    os.replace(new, file)
    flush(file.parent)


def save_state(folder: Path, parts: dict[str, dict[str, Tensor]], info: dict[str, Any], dtype: torch.dtype = torch.float32) -> None:
    """Writes beside `folder`, then swaps; an interrupted write leaves the former state whole."""
    new, old = (folder.with_name(folder.name + end) for end in (".new", ".old"))
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for part, tensors in parts.items():
        write_tensors({k: v.detach().to("cpu", dtype).contiguous().clone() for k, v in tensors.items()}, new / f"{part}.safetensors")
    (new / "state.json").write_text(json.dumps({"format": FORMAT} | info, indent=2, ensure_ascii=False) + "\n")
    for file in new.iterdir():
        flush(file)
    flush(new)
    recover(folder)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def save_checkpoint(folder: Path, state: Path) -> None:
    """The small copy of a state: no moments, bfloat16."""
    parts, info = load_state(state)
    save_state(folder, {k: parts[k] for k in PARTS}, info, torch.bfloat16)


def recover(folder: Path) -> None:
    """Takes the former state back where a crash fell between the two renames of `save_state`."""
    old = folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():
        old.rename(folder)


def load_info(folder: Path) -> dict[str, Any]:
    """`state.json` alone."""
    try:
        info = json.loads((folder / "state.json").read_text())
    except (OSError, ValueError) as error:
        raise StateError(f"'{folder}' holds no readable state.json ({error}); pass a folder that training wrote") from error
    if info.get("format") != FORMAT:
        raise StateError(f"'{folder}' is of format {info.get('format')}, and this reads format {FORMAT}; pass a state of this version")
    return info


def load_state(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """What `save_state` wrote, as float32; without moments where none were kept. StateError where a file is missing or damaged."""
    recover(folder)
    info = load_info(folder)
    kept = [p for p in MOMENTS if (folder / f"{p}.safetensors").exists()]
    if kept and len(kept) < len(MOMENTS):
        missing = next(p for p in MOMENTS if p not in kept)
        raise StateError(f"'{folder}' lacks {missing}.safetensors; copy the whole folder again")
    parts = {}
    for part in (*PARTS, *kept):
        file = folder / f"{part}.safetensors"
        if not file.exists():
            raise StateError(f"'{folder}' lacks {file.name}; copy the whole folder again")
        try:
            parts[part] = {k: v.float() for k, v in load_file(str(file)).items()}
        except Exception as error:
            raise StateError(f"'{file}' is damaged ({error}); copy the whole folder again") from error
    return parts, info


def load_weights(file: Path) -> dict[str, Tensor]:
    """A bare safetensors checkpoint under the authors' names, fp32 or fp16."""
    try:
        return {k: v.float() for k, v in load_file(str(file)).items()}
    except Exception as error:
        raise StateError(f"cannot read '{file}' as safetensors ({error})") from error


def check_fit(own: dict[str, Tensor], given: dict[str, Tensor], source: Path, preset: str) -> None:
    """Strict: every name and shape must agree, so that a checkpoint of another preset is refused by name."""
    missing, extra = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    shapes = [k for k in own.keys() & given.keys() if own[k].shape != given[k].shape]
    if missing or extra or shapes:
        key = sorted(shapes)[0] if shapes else (missing + extra)[0]
        raise StateError(
            f"'{source}' does not hold weights of preset '{preset}': {len(missing)} names missing, {len(extra)} unknown, "
            f"{len(shapes)} of another shape (first: {key}); pass the preset that it was trained as"
        )
