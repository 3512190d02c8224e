"""What a run knows of its own past, kept in its state and its release, and told by the model card.

`history` has an entry for every change of machine, threads, optimisers or data folder, with the step from which it
holds; `origin` says which weights the run began from, with the data that they had seen; `data` are the run's own sets.
States of before these were kept load all the same: what they do not say, the card does not say either.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from training.sources import sources_of, united

KEYS = ("origin", "history", "data")
OPTIMISERS = "Muon and AdamW"


def note_start(info: dict[str, Any], device: torch.device, data: Path) -> None:
    """Enters machine, threads, optimisers and data into `info`, from its present step on, where they are new."""
    now = {"optimisers": OPTIMISERS, "data": data.resolve().name}
    if device.type == "cuda":
        now["device"] = torch.cuda.get_device_name(device)
    else:
        now |= {"device": "cpu", "threads": torch.get_num_threads(), "cores": os.cpu_count()}
    history = info.setdefault("history", [])
    if not history or {k: v for k, v in history[-1].items() if k != "from"} != now:
        history.append({"from": info["step"]} | now)
    info["data"] = united(info.get("data", []), sources_of(data, info["task"]))


def metadata_of(file: Path) -> dict[str, str]:
    with safe_open(str(file), "pt") as f:
        return f.metadata() or {}


def origin_of(file: Path, verb: str = "began from") -> dict[str, Any]:
    """The `origin` of a run that begins from `file`: a model's weights, a release, what `grow` wrote, or any other file."""
    meta = metadata_of(file)
    if "origin" in meta:  # of grow, which knows what it grew
        return json.loads(meta["origin"])
    name, past = f"`{file.name}`", json.loads(meta.get("provenance", "{}"))
    data = united(past.get("data", []), past.get("origin", {}).get("data", []))
    if "step" in meta:
        name = f"the {meta['task']} `{meta['preset']}` of {int(meta['step']):,} steps"
    try:
        manifest = json.loads((file.parent / "manifest.json").read_text())
        name, data = f"`{file.parent.name}` {manifest['variant']}", united(data, manifest["data"])
    except (OSError, ValueError, KeyError):
        pass  # no model folder
    return {"text": f"{verb} {name}" + (f"; that {past['origin']['text']}" if "origin" in past else ""), "data": data}


def release_metadata(info: dict[str, Any]) -> dict[str, str]:
    """What a release's safetensors header says; safetensors takes strings only."""
    return {k: str(info[k]) for k in ("preset", "task", "step", "crop")} | {
        "hours": f"{info['seconds'] / 3600:.2f}",
        "provenance": json.dumps({k: info[k] for k in KEYS if k in info}, ensure_ascii=False),
    }


def where(entry: dict[str, Any]) -> str:
    if entry.get("device") == "cpu":
        threads, cores = entry["threads"], entry["cores"]
        return f", {threads} CPU thread{'s' if threads != 1 else ''} of a machine of {cores} core{'s' if cores != 1 else ''}"
    return f", one {entry['device']}" if "device" in entry else ""


def told(history: list[dict[str, Any]]) -> str:
    """Sentences on optimisers and machine, as far as they were recorded; empty where nothing was."""
    spans: list[tuple[int, str]] = []
    for entry in history:
        text = f"{entry['optimisers']}{where(entry)}"
        if not spans or spans[-1][1] != text:
            spans.append((entry["from"], text))
    if not spans:
        return ""
    if len(spans) == 1 and spans[0][0] == 0:
        return f"{spans[0][1]}."
    before = [(0, "not recorded")] if spans[0][0] else []
    return "; ".join(f"{'From' if i == 0 else 'from'} step {at:,}: {text}" for i, (at, text) in enumerate(before + spans)) + "."
