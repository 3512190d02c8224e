"""The network here against the ONNX that core emits, and `evaluate` against `elfin eval`: one network, one protocol.

Needs Node 24 and the workspace's `npm ci`; run it as a script or with the rest of the suite.
"""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from training import evaluate
from training.model import PRESETS, create_elf

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "packages" / "models"
NODE = ROOT / "node_modules" / ".bin" / "node"


# dB: a sample between two grey levels may be rounded to either, which moves these small pictures by 1e-5 dB or two
ROUNDED = 2e-4


def elfin(*args: str) -> str:
    """The CLI from its sources."""
    node = str(NODE) if NODE.exists() else shutil.which("node")
    done = subprocess.run([node, "--conditions=@elfin/source", str(ROOT / "packages/cli/src/main.ts"), *args],
                          capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def seeded(preset: str) -> torch.nn.Module:
    torch.manual_seed(20221010)
    model = create_elf(preset).eval()
    for p in model.parameters():  # away from the special values that a fresh network holds
        p.data.add_(0.02 * torch.randn_like(p))
    return model


def hard_to_round() -> torch.nn.Module:
    """Queries and keys are normalised, so their scale is no matter, until it is so small that float16 loses their digits."""
    model = seeded("alformer")
    for name, p in model.named_parameters():
        if name.endswith("qkv.weight"):
            p.data[: p.shape[0] // 3 * 2] *= 1e-6
    return model


def model_folder(folder: Path, model: torch.nn.Module, preset: str) -> Path:
    """The network as a model folder that core loads."""
    folder.mkdir()
    weights = folder / "weights.safetensors"
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, str(weights),
              {"preset": preset, "task": "derain"})
    (folder / "manifest.json").write_text(json.dumps({
        "format": 1, "preset": preset, "task": "derain", "variant": "seeded", "crop": 128,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(), "dtype": "float32", "license": "MIT", "data": [], "scores": [],
    }))
    return folder


def pairs(folder: Path) -> Path:
    """Two small noisy pictures and their truths, of sides that are no multiples of 16."""
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        clean = cv2.resize(rng.integers(0, 256, (9, 14, 3)).astype(np.uint8), (101, 77), interpolation=cv2.INTER_CUBIC)
        noisy = np.clip(clean + rng.normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
        for kind, image in (("input", noisy), ("target", clean)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / kind / f"{name}.png"), image)
    return folder


def numbers(result: dict) -> dict[str, dict]:
    """Every score of a result by its place: means and pictures, before and after."""
    places = {k: result[k] for k in ("mean", "input") if k in result}
    return places | {f"{i['name']} {k}": i[k] for i in result["images"] for k in ("input", "scores") if k in i}


def same_numbers(theirs: dict, ours: dict, psnr: float, ssim: float) -> None:
    a, b = numbers(theirs), numbers(evaluate.finite(ours))
    assert list(a) == list(b)
    for place in a:
        assert a[place]["psnr"] == pytest.approx(b[place]["psnr"], abs=psnr), place
        assert a[place]["ssim"] == pytest.approx(b[place]["ssim"], abs=ssim), place


@pytest.mark.parametrize("preset", PRESETS)
def test_agrees_with_the_onnx_of_core(preset, tmp_path):
    model = seeded(preset)
    folder = model_folder(tmp_path / "model", model, preset)
    elfin("export", "--model", str(folder), "-o", str(tmp_path / "model.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    x = torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(1))
    (entry,) = session.get_inputs()
    got = session.run(None, {entry.name: x.numpy()})[0]
    with torch.inference_mode():
        want = model(x)[0].numpy()
    clipped = got.min() >= 0 and got.max() <= 1
    delta = np.abs(got - (want.clip(0, 1) if clipped else want)).max()
    print(f"{preset}: max |Δ| {delta:.1e}")
    assert delta <= 1e-4


@pytest.mark.parametrize("space", ["y", "rgb"])
def test_elfin_eval_prints_the_same_numbers(space, tmp_path):
    """Also of a picture with 16 bits and alpha, of grey ones in a folder, and of one equal to its target: infinite, null in JSON."""
    pairs(tmp_path)
    rng = np.random.default_rng(4)
    deep = rng.integers(0, 65536, (40, 48, 4)).astype(np.uint16)
    for kind, shift in (("input", 900), ("target", 0)):
        (tmp_path / kind / "more").mkdir()
        cv2.imwrite(str(tmp_path / kind / "deep.png"), np.minimum(deep, 64000) + np.uint16(shift))
        cv2.imwrite(str(tmp_path / kind / "more" / "a.png"), deep[..., 0] // 257 // (1 + shift))
        cv2.imwrite(str(tmp_path / kind / "equal.png"), deep[..., :3] // 257)
    theirs = json.loads(elfin("eval", "--input", str(tmp_path / "input"), "--target", str(tmp_path / "target"), "--space", space, "--json"))
    same_numbers(theirs, evaluate.evaluate(None, evaluate.load_pairs_named(tmp_path), space == "y"), 1e-6, 1e-6)


@pytest.mark.parametrize("precision", ["stored", "float16"])
@pytest.mark.parametrize("source", ["seeded", *sorted(f.name for f in MODELS.iterdir() if (f / "manifest.json").exists())])
def test_elfin_eval_scores_a_model_as_evaluate_does(source, precision, tmp_path):
    folder = model_folder(tmp_path / "model", hard_to_round(), "alformer") if source == "seeded" else MODELS / source
    pairs(tmp_path)
    network, task = evaluate.load_model(folder, None, precision == "float16")
    theirs = json.loads(elfin("eval", "--input", str(tmp_path / "input"), "--target", str(tmp_path / "target"), "--task", task,
                              "--model", str(folder), "--precision", precision, "--tiling", "whole", "--space", "rgb", "--json"))
    ours = evaluate.evaluate(network, evaluate.load_pairs_named(tmp_path), False)
    same_numbers(theirs, ours, ROUNDED, 1e-5)
    if source == "seeded":  # the other precision's numbers are seen to be others
        other, _ = evaluate.load_model(folder, None, precision == "stored")
        there = evaluate.evaluate(other, evaluate.load_pairs_named(tmp_path), False)
        assert abs(there["mean"]["psnr"] - ours["mean"]["psnr"]) > 10 * ROUNDED


@pytest.mark.parametrize("tiling", [("auto",), ("local", "--tile", "64"), ("global", "--tile", "64", "--passes", "1")])
def test_elfin_eval_scores_what_elfin_restore_writes(tiling, tmp_path):
    pairs(tmp_path)
    how = ["--task", "derain", "--model", str(MODELS / "derain-lw"), "--tiling", *tiling]
    theirs = json.loads(elfin("eval", "--input", str(tmp_path / "input"), "--target", str(tmp_path / "target"), *how, "--json"))
    elfin("restore", str(tmp_path / "input"), "-o", str(tmp_path / "restored"), *how)
    (tmp_path / "input").rename(tmp_path / "before")
    (tmp_path / "restored").rename(tmp_path / "input")
    written = evaluate.evaluate(None, evaluate.load_pairs_named(tmp_path), True)
    same_numbers({"mean": theirs["mean"], "images": [{k: i[k] for k in ("name", "scores")} for i in theirs["images"]]}, written, 1e-6, 1e-6)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q", "-s"]))
