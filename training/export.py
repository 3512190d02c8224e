"""A trained model as a folder: float16 weights, manifest and model card.

    python -m training.export --weights training/runs/derain-elf-lw/release.safetensors --variant v1 \\
        --to packages/models/derain-lw --data data --side 192

The validation synthesis is scored with the stored weights; what float16 costs against float32 is measured too, and
the pictures that gained least are kept in the card. The folder changes only when all of it is made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from training.card import card, recipe, score_table
from training.data import DataError, list_images
from training.evaluate import evaluate, restore
from training.metrics import to8
from training.model import PRESETS, create_elf
from training.provenance import KEYS, metadata_of, release_metadata
from training.sources import sources_of, united
from training.state import StateError, check_fit, load_state, load_weights, write_tensors
from training.tasks import SETS, TASKS, Task, validation_set

# The first derain checkpoint, from which the bundled `elf-lw` trainings began, had seen ImageNet too
SEED = {
    "text": "began from the first derain checkpoint (7,902 steps of an earlier, cruder recipe)",
    "data": [{"name": "ImageNet, 163 images, through the checkpoint that training began from", "license": "none stated; research by custom"}],
}

OWN = re.compile(r"weights\.safetensors|manifest\.json|README\.md|failure-\d\.jpg")


def score_sets(model: torch.nn.Module, task: Task, data: Path, count: int | None, side: int | None) -> tuple[dict[str, dict], list[tuple]]:
    """(results of `evaluate` by set, the pictures that gained least: (gain, input, output, target), worst first)."""
    results, worst = {}, []
    for name in (*SETS, "clean"):
        pictures = list(validation_set(task, name, data, side, count))
        results[name] = evaluate(model, iter(pictures), task.luma)
        if name != "clean":
            gains = [i["scores"]["psnr"] - i["input"]["psnr"] for i in results[name]["images"]]
            _, degraded, clean = pictures[int(np.argmin(gains))]
            worst.append((min(gains), degraded, restore(model, degraded), clean))
    return results, sorted(worst, key=lambda w: w[0])


def manifest_scores(results: dict[str, dict], task: Task, side: int | None) -> list[dict]:
    scores = []
    for name, r in results.items():
        for metric in ("psnr", "ssim"):
            entry = {"set": f"kodak{f'-{side}' if side else ''}-{task.name}-{name}", "metric": f"{metric}-{'y' if task.luma else 'rgb'}"}
            entry["output"] = round(r["mean"][metric], 4)
            if name != "clean":
                entry["input"] = round(r["input"][metric], 4)
            if np.isfinite(entry["output"]):  # JSON knows no infinity
                scores.append(entry)
    return scores


def failure_picture(file: Path, degraded: np.ndarray, output: np.ndarray, clean: np.ndarray) -> None:
    """Input, output and truth side by side, 160 pixels around where the output is farthest from the truth; a small JPEG."""
    h, w = output.shape[:2]
    side = min(160, h, w)
    error = cv2.boxFilter(np.abs(output - clean).mean(2), -1, (side, side))
    half = side // 2
    y, x = np.unravel_index(error[half : h - side + half + 1, half : w - side + half + 1].argmax(), (h - side + 1, w - side + 1))
    strip = np.concatenate([to8(p[y : y + side, x : x + side]) for p in (degraded, output, clean)], 1)
    cv2.imwrite(str(file), strip[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 82))


def read_release(source: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """(weights, metadata) of a release, or the moving average of a state folder, whose rate has not been decayed."""
    if not source.is_dir():
        return load_weights(source), metadata_of(source)
    parts, info = load_state(source)
    if info.get("preset") not in PRESETS or info.get("task") not in TASKS:
        raise StateError(f"'{source}' names no known preset and task; export a state that training wrote")
    model = create_elf(info["preset"])
    check_fit(dict(model.named_parameters()), parts["ema"], source, info["preset"])
    model.load_state_dict(parts["ema"], strict=False)  # the other names of shared parameters follow
    return dict(model.state_dict()), release_metadata(info) | {"rate": "constant"}


def past_of(args: argparse.Namespace, meta: dict[str, str]) -> dict:
    """What the run recorded of its past, with what the options add; runs of before it was recorded know nothing."""
    past = {k: v for k, v in json.loads(meta.get("provenance", "{}")).items() if k in KEYS}
    origins = ([past["origin"]] if "origin" in past else []) + (
        [{"text": f"was grown, wider and twice as deep, from {args.grown_from}", "data": []}] if args.grown_from else []) + (
        [SEED] if args.seeded else [])
    if origins:
        past["origin"] = {"text": "; that ".join(o["text"] for o in origins), "data": united(*(o["data"] for o in origins))}
    past["data"] = united(past.get("data") or sources_of(args.data, meta["task"]), past.get("origin", {}).get("data", []))
    if not past["data"]:
        raise DataError(f"neither '{args.weights}' nor '{args.data / 'train-clean'}' says what was trained on; pass the training's --data")
    return past


def parse(argv: list[str] | None) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="python -m training.export", description=__doc__.splitlines()[0])
    p.add_argument("--weights", type=Path, required=True, help="the release.safetensors of a session, or a state folder (its moving average)")
    p.add_argument("--to", type=Path, required=True, help="the model folder to write")
    p.add_argument("--variant", required=True, help="a word that tells trainings apart: a–z, digits, dots, hyphens")
    p.add_argument("--data", type=Path, default=Path("data"))
    p.add_argument("--count", type=int, help="score only so many pictures a set")
    p.add_argument("--side", type=int, help="score only the middle side×side of each, which takes minutes less")
    p.add_argument("--note", default="", help="sentences for the card's recipe: what the run did not record of its past")
    p.add_argument("--seeded", action="store_true", help="the run began from the first derain checkpoint, and did not record it")
    p.add_argument("--grown-from", help="the model that its first weights were grown from, and its step, where the run did not record it")
    p.add_argument("--threads", type=int, default=0)
    return p.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        if not re.fullmatch(r"[a-z0-9](?:[a-z0-9.-]{0,38}[a-z0-9])?", args.variant):
            raise StateError(f"variant '{args.variant}' is not a word of at most 40 letters a–z, digits, dots and inner hyphens")
        others = [f.name for f in args.to.iterdir() if not OWN.fullmatch(f.name)] if args.to.is_dir() else []
        if others:
            raise StateError(f"'{args.to}' holds other things than a model ('{others[0]}'), and would be replaced; pass another --to")
        weights, meta = read_release(args.weights)
        if not {"preset", "task", "step", "crop", "hours"} <= meta.keys() or meta["preset"] not in PRESETS or meta["task"] not in TASKS:
            raise StateError(f"'{args.weights}' lacks the metadata of a release; export the release.safetensors that training wrote")
        export(args, weights, meta)
    except (DataError, StateError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    return 0


def export(args: argparse.Namespace, weights: dict[str, torch.Tensor], meta: dict[str, str]) -> None:
    preset, task, past = meta["preset"], TASKS[meta["task"]], past_of(args, meta)
    full = create_elf(preset).eval()
    check_fit(full.state_dict(), weights, args.weights, preset)
    full.load_state_dict(weights)
    float16 = {k: v.half() for k, v in weights.items()}
    if not all(torch.isfinite(v).all() for v in float16.values()):
        raise StateError(f"'{args.weights}' holds values that float16 cannot")
    stored = create_elf(preset).eval()
    stored.load_state_dict({k: v.float() for k, v in float16.items()})
    results, worst = score_sets(stored, task, args.data, args.count, args.side)

    sample = list(validation_set(task, "mixed", args.data, min(256, args.side or 256), 6))
    delta = max(float(np.abs(restore(full, d) - restore(stored, d)).max()) for _, d, _ in sample)
    psnrs = [evaluate(m, iter(sample), task.luma)["mean"]["psnr"] for m in (full, stored)]
    loss = (f"Rounding the weights to float16 moves no output sample by more than {delta:.1e} (of 1), and the mean PSNR of {len(sample)} "
            f"`mixed` crops by {psnrs[1] - psnrs[0]:+.4f} dB.")

    new = args.to.with_name(args.to.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    file = new / "weights.safetensors"
    write_tensors({k: v.contiguous() for k, v in float16.items()}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest = {
        "format": 1, "preset": preset, "task": task.name, "variant": args.variant, "crop": int(meta["crop"]), "sha256": digest,
        "dtype": "float16", "license": "MIT as far as the training data allows; see README.md", "data": past["data"],
        "scores": manifest_scores(results, task, args.side),
    }
    (new / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    failures = []
    for i, (_, degraded, output, clean) in enumerate(worst[:2], 1):
        failures.append(f"failure-{i}.jpg")
        failure_picture(new / failures[-1], degraded, output, clean)
    name = f"{task.name}-{'lw' if preset == 'elf-lw' else 'full'}-{args.variant}-{digest[:12]}"
    photos = len(list_images(args.data / "val-clean")[: args.count])
    extent = f"the middle {args.side}×{args.side} of {photos} Kodak photos" if args.side else f"{photos} Kodak photos, whole pictures"
    (new / "README.md").write_text(card(name, meta, past["data"], score_table(results), loss, recipe(meta, past, args.note), failures, extent))
    if args.to.exists():
        shutil.rmtree(args.to)
    new.rename(args.to)
    print(f"{name} → {args.to}")
    for name, r in results.items():
        worst_psnr = min(i["scores"]["psnr"] for i in r["images"])
        print(f"  {name:6} {r['input']['psnr']:6.2f} → {r['mean']['psnr']:6.2f} dB, worst {worst_psnr:.2f}")


if __name__ == "__main__":
    sys.exit(main())
