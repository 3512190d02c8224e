"""A model folder from a release: its card and manifest say what `evaluate` measures and what the run knows of itself, no more."""

import json

import pytest
import torch
from safetensors.torch import save_file

from training import evaluate, export, train
from training.card import recipe
from training.model import create_elf
from training.provenance import note_start, origin_of, release_metadata, told
from training.tests.runs import options

META = {"preset": "elf-lw", "task": "lowlight", "step": "4320", "crop": "192", "hours": "3.01"}


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(7)
    return {k: v.contiguous().clone() for k, v in create_elf("elf-lw").state_dict().items()}


def exported(weights, meta, data, folder, *more: str):
    file = folder.parent / "release.safetensors"
    save_file(weights, str(file), meta)
    code = export.main(["--weights", str(file), "--variant", "v1", "--to", str(folder), "--data", str(data), "--side", "64", "--threads", "1", *more])
    return code, (folder / "README.md").read_text() if folder.exists() else ""


def test_the_card_scores_what_evaluate_prints(weights, data, tmp_path, capsys):
    code, card = exported(weights, META, data, tmp_path / "model")
    assert code == 0
    capsys.readouterr()
    assert evaluate.main(["--model", str(tmp_path / "model"), "--data", str(data), "--side", "64", "--threads", "1", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    scores = {(s["set"].rsplit("-", 1)[1], s["metric"]): s for s in json.loads((tmp_path / "model/manifest.json").read_text())["scores"]}
    assert len(scores) == 8
    rows = {line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:6]] for line in card.splitlines() if line.startswith("| ")}
    for name, r in results.items():
        for metric in ("psnr", "ssim"):
            kept = scores[name, f"{metric}-rgb"]
            assert kept["output"] == round(r["mean"][metric], 4)
            assert ("input" not in kept) if name == "clean" else kept["input"] == round(r["input"][metric], 4)
        assert rows[name][1] == f"{r['mean']['psnr']:.2f} / {r['mean']['ssim']:.4f}"
        assert rows[name][3] == f"{min(i['scores']['psnr'] for i in r['images']):.2f}"
    assert (tmp_path / "model/weights.safetensors").stat().st_mode == (tmp_path / "model/README.md").stat().st_mode
    assert (tmp_path / "model/failure-2.jpg").exists() and not (tmp_path / "model.new").exists()
    for group in card.split("\n\n"):  # tables are aligned
        if group.startswith("| "):
            assert len({len(line) for line in group.splitlines()}) == 1


def said(meta, data, *more: str) -> tuple[str, list[str]]:
    """(the card's recipe, the names of its data) of a release with this header."""
    args = export.parse(["--weights", "w", "--to", "m", "--variant", "v1", "--data", str(data), *more])
    past = export.past_of(args, meta)
    return recipe(meta, past, args.note), [d["name"] for d in past["data"]]


def test_what_the_run_did_not_record_is_not_said(data):
    assert said(META, data) == ("Moving average (0.999) of 4,320 steps, 3.01 hours, at a constant 1e-3, then a linear decay.", ["a"])


def test_what_the_options_add_is_said(data):
    text, names = said(META, data, "--seeded", "--note", "The first 790 steps were AdamW's alone.", "--grown-from", "X at step 3")
    assert "linear decay. The first 790 steps were AdamW's alone. It was grown, wider and twice as deep, from X at step 3; " in text
    assert "; that began from the first" in text
    assert names == ["a", "ImageNet, 163 images, through the checkpoint that training began from"]


def test_what_the_run_recorded_is_said(data):
    info = {"preset": "elf-lw", "task": "lowlight", "step": 900, "crop": 192, "seconds": 3600.0,
            "origin": {"text": "began from `derain-lw` v2", "data": [{"name": "Z", "license": "CC0"}]}}
    info["history"] = [{"from": 0, "optimisers": "AdamW"}]
    note_start(info | {"step": 790}, torch.device("cpu"), data)
    note_start(info, torch.device("cpu"), data)  # nothing new: no second entry
    text, names = said(release_metadata(info), data)
    assert f"From step 0: AdamW; from step 790: Muon and AdamW, {torch.get_num_threads()} CPU thread" in text
    assert text.endswith("It began from `derain-lw` v2.") and names == ["a", "Z"]


def test_a_run_tells_its_release_what_it_began_from(weights, data, tmp_path, short):
    torch.manual_seed(1)
    (tmp_path / "small").mkdir()
    small = {k: v.contiguous().clone() for k, v in create_elf("elf-lw", 16).state_dict().items()}
    save_file(small, str(tmp_path / "small/weights.safetensors"))
    (tmp_path / "small/manifest.json").write_text(json.dumps({"variant": "v9", "data": [{"name": "Z", "license": "CC0"}]}))
    run = tmp_path / "run"
    assert train.main(options(data, run, "--steps", "2", "--init", str(tmp_path / "small/weights.safetensors"))) == 0
    past = json.loads(export.metadata_of(run / "release.safetensors")["provenance"])
    assert past["origin"] == {"text": "began from `small` v9", "data": [{"name": "Z", "license": "CC0"}]}
    assert past["history"] == [{"from": 0, "optimisers": "Muon and AdamW", "data": "data", "device": "cpu", "threads": 1,
                                "cores": past["history"][0]["cores"]}]
    assert past["data"] == [{"name": "a", "license": "not recorded"}]
    state = json.loads((run / "state/state.json").read_text())
    assert state["origin"] == past["origin"] and state["history"] == past["history"]
    assert origin_of(run / "release.safetensors")["text"] == "began from the lowlight `elf-lw` of 2 steps; that began from `small` v9"


def test_a_state_from_before_these_were_kept_loads(data, tmp_path, short):
    run = tmp_path / "old"
    assert train.main(options(data, run, "--steps", "1", "--phase", "constant")) == 0
    file = run / "state/state.json"
    info = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in info.items() if k not in ("history", "origin", "data")}))
    assert train.main(options(data, run, "--steps", "1", "--phase", "constant")) == 0
    history = json.loads(file.read_text())["history"]
    assert told(history).startswith("From step 0: not recorded; from step 1: Muon and AdamW, 1 CPU thread of ")


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda w: w | {"dsnet.tail.weight": w["dsnet.tail.weight"] * 1e9}, "holds values that float16 cannot"),
    (lambda w: {k: v for k, v in w.items() if k != "dsnet.tail.weight"}, "1 names missing"),
])
def test_nothing_is_overwritten_by_what_cannot_be_exported(weights, data, tmp_path, capsys, spoil, message):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/README.md").write_text("the former")
    assert exported(spoil(weights), META, data, tmp_path / "model") == (2, "the former")
    assert message in capsys.readouterr().err


def test_another_folder_is_not_replaced(weights, data, tmp_path, capsys):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter.txt").write_text("dear")
    save_file(weights, str(tmp_path / "r.safetensors"), META)
    assert export.main(["--weights", str(tmp_path / "r.safetensors"), "--variant", "v1", "--to", str(tmp_path / "home"), "--data", str(data)]) == 2
    assert "holds other things than a model ('letter.txt')" in capsys.readouterr().err
