"""PSNR and SSIM of a model on the validation synthesis, or on pairs of one's own, by the protocol.

    python -m training.evaluate --model packages/models/derain-lw --set heavy --data data
    python -m training.evaluate --model packages/models/derain-lw --pairs folder --json

`--pairs` takes a folder with input/ and target/, as `elfin eval` does, and prints the same numbers. A set is a
function of its seed: `--write folder` leaves its pictures as input/ and target/ PNGs for other programs.
Whole pictures go through the network at once, edges mirrored to multiples of 16.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from training.data import DataError, load_pairs_named
from training.metrics import score, to8
from training.model import PRESETS, create_elf
from training.state import StateError, check_fit, load_weights
from training.tasks import SETS, TASKS, validation_set

Pictures = Iterator[tuple[str, np.ndarray, np.ndarray]]


def load_model(source: Path, preset: str | None, float16: bool = False) -> tuple[nn.Module, str | None]:
    """(network, task) of a model folder, or of a bare safetensors file of `preset` (then the task is unknown).

    `float16` rounds the weights to it first, as `elfin eval --precision float16` does.
    """
    task = None
    if source.is_dir():
        try:
            manifest = json.loads((source / "manifest.json").read_text())
        except (OSError, ValueError) as error:
            raise StateError(f"'{source}' holds no readable manifest.json ({error})") from error
        if not isinstance(manifest, dict) or manifest.get("preset") not in PRESETS or not isinstance(manifest.get("task"), str):
            raise StateError(f"'{source / 'manifest.json'}' names no task and preset of {', '.join(sorted(PRESETS))}; "
                             "pass a folder that training.export or `elfin import` wrote")
        preset, task, source = manifest["preset"], manifest["task"], source / "weights.safetensors"
    if not preset:
        raise StateError(f"'{source}' is a bare file; say which network it holds with --preset")
    model = create_elf(preset)
    weights = load_weights(source)
    check_fit(model.state_dict(), weights, source, preset)
    model.load_state_dict({k: v.half().float() for k, v in weights.items()} if float16 else weights)
    return model.eval(), task


def restore(model: nn.Module, image: np.ndarray, bf16: bool = False) -> np.ndarray:
    """image [h, w, 3] float32 in [0, 1] of any size → restored, clipped."""
    h, w = image.shape[:2]
    padded = np.pad(image, ((0, -h % 16), (0, -w % 16), (0, 0)), mode="reflect" if min(h, w) > 1 else "edge")
    x = torch.from_numpy(padded).permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = model(x)[0]
    return y[0].permute(1, 2, 0).float().clamp(0, 1).numpy()[:h, :w]


def evaluate(model: nn.Module | None, pictures: Pictures, luma: bool, bf16: bool = False) -> dict:
    """{mean: {psnr, ssim}, input: {…}, images: [{name, input: {…}, scores: {…}}]}, the form of `elfin eval --json`.

    Without a model `scores` are the inputs' own, and there is no `input`. Equal pictures, whose PSNR is infinite, count in
    a mean only where all are equal.
    """
    images = []
    for name, degraded, clean in pictures:
        before = dict(zip(("psnr", "ssim"), score(degraded, clean, luma), strict=True))
        if model:
            after = dict(zip(("psnr", "ssim"), score(restore(model, degraded, bf16), clean, luma), strict=True))
            images.append({"name": name, "input": before, "scores": after})
        else:
            images.append({"name": name, "scores": before})
    if not images:
        raise DataError("no pictures to evaluate")

    def mean(which: str) -> dict[str, float]:
        means = {}
        for m in ("psnr", "ssim"):
            values = [i[which][m] for i in images if np.isfinite(i[which][m])]
            means[m] = float(np.mean(values)) if values else float("inf")
        return means

    return {"mean": mean("scores")} | ({"input": mean("input")} if model else {}) | {"images": images}


def finite(value):
    """For JSON, which knows no infinity: null in its place."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    p.add_argument("--model", type=Path, help="a model folder or a safetensors file; without it the inputs are scored")
    p.add_argument("--preset", choices=sorted(PRESETS), help="of a bare safetensors file")
    p.add_argument("--task", choices=sorted(TASKS), help="where the model does not say")
    p.add_argument("--set", choices=(*SETS, "clean", "all"), default="all")
    p.add_argument("--pairs", type=Path, help="a folder with input/ and target/ instead of the synthesis")
    p.add_argument("--data", type=Path, default=Path("data"))
    p.add_argument("--count", type=int, help="pictures a set (default all)")
    p.add_argument("--side", type=int, help="only the middle side×side of each picture")
    p.add_argument("--write", type=Path, help="leave input/, target/ and output/ PNGs here, a folder a set")
    p.add_argument("--precision", choices=("stored", "float16"), default="stored", help="round the weights to this first")
    p.add_argument("--bf16", action="store_true", help="in bfloat16, as training validates")
    p.add_argument("--json", action="store_true", help="print JSON only")
    p.add_argument("--threads", type=int, default=0)
    args = p.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        model, task = load_model(args.model, args.preset, args.precision == "float16") if args.model else (None, None)
        name = args.task or task or "derain"
        if name not in TASKS:
            raise StateError(f"'{args.model}' is for the task '{name}', which has no synthesis; pass --task {', '.join(sorted(TASKS))}")
        task = TASKS[name]
        if args.pairs:
            results = {"pairs": evaluate(model, load_pairs_named(args.pairs), task.luma, args.bf16)}
        else:
            results = {}
            for name in (*SETS, "clean") if args.set == "all" else (args.set,):
                pictures = list(validation_set(task, name, args.data, args.side, args.count))
                if args.write:
                    write(args.write / name, pictures, model)
                results[name] = evaluate(model, iter(pictures), task.luma, args.bf16)
    except (DataError, StateError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(finite(next(iter(results.values())) if len(results) == 1 else results), indent=2, allow_nan=False))
        return 0
    for name, r in results.items():
        print(f"{task.name} {name}, {len(r['images'])} pictures, {'Y' if task.luma else 'RGB'}")
        for kind in ("input", "mean"):
            if kind in r:
                print(f"  {'output' if kind == 'mean' else kind:7}{r[kind]['psnr']:6.2f} dB  {r[kind]['ssim']:.4f}")
        if model:
            worst = min(r["images"], key=lambda i: i["scores"]["psnr"])
            gain = r["mean"]["psnr"] - r["input"]["psnr"]  # infinite where the inputs equal their targets
            told = f"gain   {gain:+6.2f} dB; " if np.isfinite(gain) else ""
            print(f"  {told}worst {worst['scores']['psnr']:.2f} dB ({worst['name']})")
    return 0


def write(folder: Path, pictures: list, model: nn.Module | None) -> None:
    for name, degraded, clean in pictures:
        kinds = {"input": degraded, "target": clean}
        if model:
            kinds["output"] = restore(model, degraded)
        for kind, picture in kinds.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / kind / f"{name}.png"), to8(picture)[..., ::-1])


if __name__ == "__main__":
    sys.exit(main())
