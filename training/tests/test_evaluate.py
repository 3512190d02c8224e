"""`evaluate` where pictures are equal, and where a model folder is no such thing."""

import json
import shutil
from pathlib import Path

import pytest

from training import evaluate


@pytest.fixture
def pairs(data, tmp_path):
    for kind, photo in (("input", "0"), ("target", "1")):
        (tmp_path / kind).mkdir()
        shutil.copy(data / "val-clean/b/0.png", tmp_path / kind / "equal.png")
        shutil.copy(data / f"val-clean/b/{photo}.png", tmp_path / kind / "other.png")
    return tmp_path


def test_equal_pictures_are_left_out_of_the_mean_and_null_in_json(pairs, capsys):
    assert evaluate.main(["--pairs", str(pairs), "--json"]) == 0
    printed = capsys.readouterr().out
    assert "Infinity" not in printed
    result = json.loads(printed)
    equal, other = (i["scores"] for i in result["images"])
    assert equal == {"psnr": None, "ssim": 1.0}
    assert result["mean"]["psnr"] == other["psnr"] and result["mean"]["ssim"] == pytest.approx((1 + other["ssim"]) / 2)


def test_where_all_are_equal_the_mean_is_infinite(pairs, capsys):
    for kind in ("input", "target"):
        (pairs / kind / "other.png").unlink()
    assert evaluate.main(["--pairs", str(pairs)]) == 0
    assert "inf dB" in capsys.readouterr().out
    assert evaluate.main(["--pairs", str(pairs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"] == {"psnr": None, "ssim": 1.0}


def test_a_gain_is_told_only_where_the_input_is_not_the_target(data, capsys):
    model = Path(__file__).resolve().parents[2] / "packages/models/derain-lw"
    for name, told in (("light", True), ("clean", False)):
        assert evaluate.main(["--model", str(model), "--set", name, "--data", str(data), "--side", "64", "--count", "1"]) == 0
        printed = capsys.readouterr().out
        assert ("gain" in printed) == told and "worst" in printed and "-inf" not in printed


@pytest.mark.parametrize(("manifest", "message"), [
    ({"format": 1}, "manifest.json' names no task and preset of alformer, elf"),
    ({"preset": "elf-xl", "task": "derain"}, "names no task and preset of"),
    ([], "names no task and preset of"),
])
def test_a_manifest_that_names_no_network_is_one_clear_line(manifest, message, tmp_path, capsys):
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert evaluate.main(["--model", str(tmp_path), "--data", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
