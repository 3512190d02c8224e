"""A model's card: what it is, its scores, how it was made, its data, and where it fails, as Markdown."""

from __future__ import annotations

from typing import Any

from training.model import create_elf
from training.provenance import told
from training.sources import Source
from training.tasks import TASKS

ABOUT = {
    "derain": (
        "Removes rain from photos",
        "Rain is synthesised onto clean photos: streak layers from noise and from drawn drops, added, screened or mixed towards "
        "grey at a drawn strength, some with veil, blur or JPEG, half of them at one to four times the size and then shrunk; one picture in "
        "ten stays clean.",
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


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown, its columns padded to one width."""
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * w for w in widths], *rows]
    return "\n".join("| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines)


def both(means: dict[str, float]) -> str:
    return f"{means['psnr']:.2f} / {means['ssim']:.4f}".replace("inf", "∞")


def score_table(results: dict[str, dict]) -> str:
    """`results` as `evaluate` gives them, by set; clean photos have no input worth stating."""
    rows = []
    for name, r in results.items():
        clean = name == "clean"
        worst = min(i["scores"]["psnr"] for i in r["images"])
        rows.append([name, "–" if clean else both(r["input"]), both(r["mean"]),
                     "–" if clean else f"{r['mean']['psnr'] - r['input']['psnr']:+.2f}", f"{worst:.2f}".replace("inf", "∞")])
    return table(["set", "input", "output", "gain", "worst picture"], rows)


def recipe(meta: dict[str, str], past: dict[str, Any], note: str) -> str:
    """`past` as `provenance` keeps it; what it does not hold is not said."""
    rate = "at a constant 1e-3" + ("" if meta.get("rate") else ", then a linear decay")
    origin = past.get("origin", {}).get("text")
    return " ".join(s for s in (
        f"Moving average (0.999) of {int(meta['step']):,} steps, {meta['hours']} hours, {rate}.",
        told(past.get("history", [])), note, f"It {origin}." if origin else "",
    ) if s)


def card(name: str, meta: dict[str, str], data: list[Source], scores: str, loss: str, history: str, failures: list[str], extent: str) -> str:
    """`scores` a table, `loss` what float16 costs, `history` of `recipe`, `extent` what was scored."""
    what, synthesis, limits = ABOUT[meta["task"]]
    preset, space = meta["preset"], "Y" if TASKS[meta["task"]].luma else "RGB"
    parameters = sum(p.numel() for p in create_elf(preset).parameters())
    pictures = "\n".join(f"![Input, output, truth]({f})" for f in failures)
    bsds = "\nBSDS500 contains CBSD68 and BSD100: never evaluate this model on them.\n" if any("BSDS500" in d["name"] for d in data) else ""
    return f"""# {name}

{what}: ELF's {"light network" if preset == "elf-lw" else "full network"} (`{preset}`, {parameters:,} parameters), stored as float16.

## Scores

Validation synthesis on {extent}, no tiling; PSNR in dB and SSIM on {space}, 8-bit rounded, no border crop.
None of these photos was trained on, and the sets' random material is not the training's.

{scores}

{loss}

## Recipe

{history} {synthesis}
The largest of the last crops had {meta["crop"]} pixels: `local` tiling takes its tile from that. `training/README.md` has the commands.

## Data

{table(["set", "licence"], [[d["name"], d["license"]] for d in data])}
{bsds}
## Licence

The weights are given under MIT as far as their authors can give them. Some of the sets above were made for research and state no
licence: whoever needs a chain of rights over every training image has to train anew on the others.

## Limits

{limits}

The pictures of the validation sets that gained least (input, output, truth):

{pictures}
"""
