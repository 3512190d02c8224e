"""Training state on disk: everything that the next step needs, written so that a crash never leaves half of it.

A state is a folder: `state.json` and, for each of weights, ema, adam_m and adam_v, safetensors shards below
4 MiB. The batches of a step are a function of (seed, step), so those two numbers are the random state.
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

PARTS = ("weights", "ema", "adam_m", "adam_v")
SHARD_BYTES = 4_000_000


class StateError(Exception):
    """A checkpoint that does not fit; the message names the file and what to do."""


def hold(folder: Path):
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
    """Contiguous tensors as safetensors, for whom the umask lets read it: `save_file` writes for its owner alone."""
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


def shards(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The tensors in order, cut into groups below SHARD_BYTES."""
    groups: list[dict[str, Tensor]] = [{}]
    size = 0
    for key, value in tensors.items():
        size += value.nbytes
        if groups[-1] and size > SHARD_BYTES:
            groups.append({})
            size = value.nbytes
        groups[-1][key] = value.detach().to("cpu", torch.float32).contiguous().clone()
    return groups


def save_state(folder: Path, parts: dict[str, dict[str, Tensor]], info: dict[str, Any]) -> None:
    """Writes beside `folder`, then swaps; an interrupted write leaves the former state whole."""
    new, old = (folder.with_name(folder.name + end) for end in (".new", ".old"))
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for part in PARTS:
        groups = shards(parts[part])
        for i, group in enumerate(groups, 1):
            write_tensors(group, new / f"{part}-{i}-of-{len(groups)}.safetensors")
    (new / "state.json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n")
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


def recover(folder: Path) -> None:
    """Takes the former state back where a crash fell between the two renames of `save_state`."""
    old = folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():
        old.rename(folder)


def load_info(folder: Path) -> dict[str, Any]:
    """`state.json` alone."""
    try:
        return json.loads((folder / "state.json").read_text())
    except (OSError, ValueError) as error:
        raise StateError(f"'{folder}' holds no readable state.json ({error}); pass a folder that training wrote") from error


def load_state(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """What `save_state` wrote. Raises StateError where a file is missing or damaged."""
    recover(folder)
    info = load_info(folder)
    parts = {}
    for part in PARTS:
        files = sorted(folder.glob(f"{part}-*-of-*.safetensors"))
        if not files or len(files) != int(files[0].stem.rsplit("-", 1)[1]):
            raise StateError(f"'{folder}' lacks shards of {part}; copy the whole folder again")
        parts[part] = {}
        for file in files:
            try:
                parts[part] |= load_file(str(file))
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
