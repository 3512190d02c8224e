"""A trained model as a folder: float16 weights, manifest and model card.

    python -m training.export --weights training/runs/derain-elf-lw/release.safetensors --variant v1 \\
        --to ../packages/models/derain-lw --data ../shared/data

The validation synthesis is scored with the stored weights; what float16 costs against float32 is measured too, and
the pictures that gained least are kept in the card.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from training.data import DataError, list_images
from training.evaluate import evaluate, restore
from training.metrics import score, to8
from training.model import PRESETS, create_elf
from training.state import StateError, check_fit, load_state, load_weights
from training.tasks import SETS, TASKS, validation_set

CLEAN_DATA = (
    ("BSDS500, less the images reserved for evaluation", "none stated; research and education by custom"),
    ("CID22", "CC BY-SA 4.0"),
    ("CLIC 2025", "Unsplash licence"),
    ("Debian wallpapers", "CC BY, CC BY-SA, CC0; GPL-2+"),
    ("elementary wallpapers", "open, per image"),
    ("Urban100", "none stated"),
)
PAIRS = (
    ("LSUI, 61 pairs of the U-shape Transformer's repository", "MIT on the repository; some frames carry a stock-footage mark"),
    ("EUVP, 9 pairs of Shallow-UWnet's repository", "MIT on the repository"),
)
# The first derain checkpoint, from which all `elf-lw` trainings began, had seen these too
SEED_DATA = (("ImageNet, 163 images, through the checkpoint that training began from", "none stated; research by custom"),)

ABOUT = {
    "derain": (
        "Removes rain from photos",
        "Rain is synthesised onto clean photos: streak layers from noise and from drawn drops, added, screened or mixed towards "
        "grey at a drawn strength, some with veil, blur or JPEG; one picture in ten stays clean.",
        "Thick near streaks and dense veils are thinned rather than removed, drops on a lens are not known at all, and fine bright "
        "texture along the rain's direction may be softened.",
    ),
    "lowlight": (
        "Brightens photos taken with too little light",
        "Darkness is synthesised from clean photos: a darkening curve with noise, or the camera's pipeline run backwards (linear light, "
        "less of it, shot and read noise, white balance not quite met), some with uneven light or JPEG.",
        "Exposure is guessed: a scene meant to be dark comes out brighter than it was. Noise in nearly black areas is smoothed into "
        "blotches, clipped lamps keep their halo, and colours of strongly tinted light are not neutralised.",
    ),
    "underwater": (
        "Takes the water's colour and veil out of underwater photos",
        "Water is synthesised over clean photos by the Jerlov types with planar and fractal depth, mixed with 70 real pairs (one sample in "
        "five).",
        "Real scattering depends on a depth that the synthesis only guesses: far water keeps some colour, and reds that the water took "
        "wholly are invented. Some of the real references were themselves made by enhancement methods.",
    ),
}


def score_sets(model: torch.nn.Module, task, data: Path, count: int | None, side: int | None) -> tuple[list[dict], list[dict], list[tuple]]:
    """(manifest's scores, the card's rows, the worst (gain, set, name, input, output, target))."""
    scores, rows, worst = [], [], []
    space = "y" if task.luma else "rgb"
    for name in (*SETS, "clean"):
        pictures = list(validation_set(task, name, data, side, count))
        outputs = [restore(model, degraded) for _, degraded, _ in pictures]
        before = np.array([score(d, c, task.luma) for _, d, c in pictures])
        after = np.array([score(o, c, task.luma) for o, (_, _, c) in zip(outputs, pictures, strict=True)])
        rows.append({"set": name, "input": before.mean(0), "output": after.mean(0), "worst": after[:, 0].min()})
        for i, metric in enumerate(("psnr", "ssim")):
            entry = {"set": f"kodak{f'-{side}' if side else ''}-{task.name}-{name}", "metric": f"{metric}-{space}", "output": round(float(after[:, i].mean()), 4)}
            if name != "clean":
                entry["input"] = round(float(before[:, i].mean()), 4)
            scores.append(entry)
        if name != "clean":
            gains = after[:, 0] - before[:, 0]
            k = int(gains.argmin())
            worst.append((gains[k], name, pictures[k][0], pictures[k][1], outputs[k], pictures[k][2]))
    return scores, rows, sorted(worst, key=lambda w: w[0])


def failure_picture(file: Path, degraded: np.ndarray, output: np.ndarray, clean: np.ndarray, side: int = 160) -> None:
    """Input, output and truth side by side, around where the output is farthest from the truth; a small JPEG."""
    error = cv2.boxFilter(np.abs(output - clean).mean(2), -1, (side, side))
    h, w = error.shape
    y, x = np.unravel_index(error[side // 2 : h - side // 2, side // 2 : w - side // 2].argmax(), (h - side // 2 * 2, w - side // 2 * 2))
    strip = np.concatenate([to8(p[y : y + side, x : x + side]) for p in (degraded, output, clean)], 1)
    cv2.imwrite(str(file), strip[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 82))


def card(name: str, task: str, preset: str, meta: dict, data: list[dict], rows: list[dict], loss: str, failures: list[str], extent: str) -> str:
    what, synthesis, limits = ABOUT[task]
    space = "Y" if TASKS[task].luma else "RGB"
    parameters = sum(p.numel() for p in create_elf(preset).parameters())
    table = "\n".join(
        f"| {r['set']} | " + ("–" if r["set"] == "clean" else f"{r['input'][0]:.2f} / {r['input'][1]:.4f}")
        + f" | {r['output'][0]:.2f} / {r['output'][1]:.4f} | "
        + ("–" if r["set"] == "clean" else f"{r['output'][0] - r['input'][0]:+.2f}") + f" | {r['worst']:.2f} |"
        for r in rows
    )
    sources = "\n".join(f"| {d['name']} | {d['licence']} |" for d in data)
    pictures = "\n".join(f"![Input, output, truth]({f})" for f in failures)
    return f"""# {name}

{what}: ELF's {"light network" if preset == "elf-lw" else "full network"} (`{preset}`, {parameters:,} parameters), stored as float16.

## Scores

Validation synthesis on {extent}, no tiling; PSNR in dB and SSIM on {space}, 8-bit rounded, no border crop.
None of these photos was trained on, and the sets' random material is not the training's.

| set | input | output | gain | worst picture |
| --- | --- | --- | --- | --- |
{table}

{loss}

## Recipe

Moving average (0.999) of {meta["step"]} steps, {meta["hours"]} hours on two shared CPU cores: {"Muon and AdamW at a constant 1e-3" if meta.get("rate") else "Muon and AdamW at a constant 1e-3, then a linear decay"}.{meta["origin"]} {synthesis}
The largest of the last crops had {meta["crop"]} pixels: `local` tiling takes its tile from that. `training/README.md` has the command.

## Data

| set | licence |
| --- | --- |
{sources}

BSDS500 contains CBSD68 and BSD100: never evaluate this model on them.

## Licence

The weights are given under MIT as far as their authors can give them. Some of the sets above were made for research and state no
licence: whoever needs a chain of rights over every training image has to train anew on the others.

## Limits

{limits}

The pictures of the validation sets that gained least (input, output, truth):

{pictures}
"""


def read_release(source: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """(weights, metadata) of a release, or the moving average of a state folder, whose rate has not been decayed."""
    if not source.is_dir():
        weights = load_weights(source)
        with safe_open(str(source), "pt") as f:
            return weights, f.metadata() or {}
    parts, info = load_state(source)
    model = create_elf(info["preset"])
    check_fit(dict(model.named_parameters()), parts["ema"], source, info["preset"])
    model.load_state_dict(parts["ema"], strict=False)  # the other names of shared parameters follow
    meta = {k: str(info[k]) for k in ("preset", "task", "step", "crop")} | {"hours": f"{info['seconds'] / 3600:.2f}"}
    return dict(model.state_dict()), meta | {"rate": "constant"}


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m training.export", description=__doc__.splitlines()[0])
    p.add_argument("--weights", type=Path, required=True, help="the release.safetensors of a sitting, or a state folder (its moving average)")
    p.add_argument("--to", type=Path, required=True, help="the model folder to write")
    p.add_argument("--variant", required=True, help="a word that tells trainings apart: a–z, digits, dots, hyphens")
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--count", type=int, help="score only so many pictures a set")
    p.add_argument("--side", type=int, help="score only the middle side×side of each, which takes minutes less")
    p.add_argument("--seeded", action=argparse.BooleanOptionalAction, default=True, help="began from the first derain checkpoint")
    p.add_argument("--grown-from", help="the model that its first weights were grown from, and its step, for the card")
    p.add_argument("--threads", type=int, default=0)
    args = p.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        if not re.fullmatch(r"[a-z0-9](?:[a-z0-9.-]{0,38}[a-z0-9])?", args.variant):
            raise StateError(f"variant '{args.variant}' is not a word of at most 40 letters a–z, digits, dots and inner hyphens")
        weights, meta = read_release(args.weights)
        if not {"preset", "task", "step", "crop", "hours"} <= meta.keys() or meta["preset"] not in PRESETS or meta["task"] not in TASKS:
            raise StateError(f"'{args.weights}' lacks the metadata of a release; export the release.safetensors that training wrote")
        export(args, weights, meta)
    except (DataError, StateError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    return 0


def export(args: argparse.Namespace, weights: dict[str, torch.Tensor], meta: dict[str, str]) -> None:
    preset, task = meta["preset"], TASKS[meta["task"]]
    full = create_elf(preset).eval()
    check_fit(full.state_dict(), weights, args.weights, preset)
    full.load_state_dict(weights)
    origins = ([f"was grown from {args.grown_from}, wider and twice as deep"] if args.grown_from else []) + (
        ["began from the first derain checkpoint (7,902 steps of an earlier, cruder recipe)"] if args.seeded else [])
    meta["origin"] = f" It {'; that '.join(origins)}." if origins else ""
    half = {k: v.half() for k, v in weights.items()}
    if not all(torch.isfinite(v).all() for v in half.values()):
        raise StateError(f"'{args.weights}' holds values that float16 cannot")
    stored = create_elf(preset).eval()
    stored.load_state_dict({k: v.float() for k, v in half.items()})
    scores, rows, worst = score_sets(stored, task, args.data, args.count, args.side)

    sample = list(validation_set(task, "mixed", args.data, 256, 6))
    delta = max(float(np.abs(restore(full, d) - restore(stored, d)).max()) for _, d, _ in sample)
    psnrs = [evaluate(m, iter(sample), task.luma)["mean"]["psnr"] for m in (full, stored)]
    loss = (f"Rounding the weights to float16 moves no output sample by more than {delta:.1e} (of 1), and the mean PSNR of six `mixed` "
            f"crops by {psnrs[1] - psnrs[0]:+.4f} dB.")

    args.to.mkdir(parents=True, exist_ok=True)
    file = args.to / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in half.items()}, str(file))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    data = [{"name": n, "licence": l} for n, l in CLEAN_DATA + (PAIRS if task.name == "underwater" else ()) + (SEED_DATA if args.seeded else ())]
    manifest = {
        "format": 1, "preset": preset, "task": task.name, "variant": args.variant, "crop": int(meta["crop"]), "sha256": digest,
        "dtype": "float16", "licence": "MIT as far as the training data allows; see README.md", "data": data, "scores": scores,
    }
    (args.to / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    failures = []
    for i, (_, _, _, degraded, output, clean) in enumerate(worst[:2], 1):
        failures.append(f"failure-{i}.jpg")
        failure_picture(args.to / failures[-1], degraded, output, clean)
    size = "lw" if preset == "elf-lw" else "full"
    name = f"{task.name}-{size}-{args.variant}-{digest[:12]}"
    photos = len(list_images(args.data / "val-clean")[: args.count])
    extent = f"the middle {args.side}×{args.side} of {photos} Kodak photos" if args.side else f"{photos} Kodak photos, whole pictures"
    (args.to / "README.md").write_text(card(name, task.name, preset, meta, data, rows, loss, failures, extent))
    print(f"{name} → {args.to}")
    for r in rows:
        print(f"  {r['set']:6} {r['input'][0]:6.2f} → {r['output'][0]:6.2f} dB, worst {r['worst']:.2f}")


if __name__ == "__main__":
    sys.exit(main())
