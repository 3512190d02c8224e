"""The classifier's features against the fixture that the TypeScript is held to, and its table on plain cases.

`python -m training.tests.test_classify` writes the fixture anew, after a change of the features in both languages.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from training import classify
from training.classify import CLASSES, FEATURES, confusion, decide, features, fit, probabilities
from training.data import DataError
from training.synthesis import lowlight
from training.synthesis.common import sheet_main

FIXTURE = Path(__file__).parents[2] / "test" / "fixtures" / "classify" / "features.json"


def formula(w: int, h: int, seed: int) -> np.ndarray:
    y, x, c = np.mgrid[0:h, 0:w, 0:3]
    return (((x * x * 3 + y * y * 5 + x * y * 7) // (40 + seed) + c * 31 * seed + (x // (9 + seed) + y // 11) % 5 * 23) % 256).astype(np.uint8)


def test_features_are_the_fixtures():
    fixture = json.loads(FIXTURE.read_text())
    assert fixture["names"] == list(FEATURES)
    for case in fixture["cases"]:
        got = features(formula(case["width"], case["height"], case["seed"]))
        assert got == pytest.approx(case["features"], rel=1e-9, abs=1e-9)


def test_a_table_learns_and_an_unsure_answer_is_none():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(CLASSES)), 50)
    x = rng.normal(0, 0.3, (200, len(FEATURES)))
    x[np.arange(200), y] += 3
    table = fit(x, y)
    p = probabilities(table, x)
    assert p.sum(1) == pytest.approx(1) and (decide(p) == y).mean() > 0.98
    assert decide(np.array([[0.2, 0.5, 0.2, 0.1]])).tolist() == [0]
    assert "| derain |" in confusion(table, x, y)


def test_a_written_table_is_read_back_and_so_is_the_one_in_use(tmp_path):
    rng = np.random.default_rng(1)
    table = classify.rounded({"mean": rng.random(32), "std": rng.random(32), "weight": rng.normal(0, 1, (32, 4)), "bias": rng.normal(0, 1, 4)})
    classify.write_table(tmp_path / "table.ts", table)
    for file in (tmp_path / "table.ts", FIXTURE.parents[3] / "packages/core/src/classify/table.ts"):
        read = classify.read_table(file)
        assert {k: v.shape for k, v in read.items()} == {k: v.shape for k, v in table.items()}
    read = classify.read_table(tmp_path / "table.ts")
    assert all(np.array_equal(read[k], table[k]) for k in table)


@pytest.mark.parametrize(("args", "message"), [
    (["--data", "nowhere"], "val-clean' does not exist"),
    (["--table", __file__], "holds no table of these 32 features"),
])
def test_bad_input_is_one_clear_line(args, message, data, capsys):
    assert classify.main(["--data", str(data), *args]) == 2
    assert message in capsys.readouterr().err


def test_one_table_of_real_photos_clean_ones_among_them(data, tmp_path, capsys):
    for name in ("rain", "clean"):
        shutil.copytree(data / "val-clean" / "b", tmp_path / "real" / name)
    classify.photos(tmp_path / "real", classify.read_table(FIXTURE.parents[3] / "packages/core/src/classify/table.ts"))
    printed = capsys.readouterr().out
    assert printed.count("| truth ") == 1 and "| derain |" in printed and "| none |" in printed and "clean/1.png" in printed
    with pytest.raises(DataError, match="none of the folders rain"):
        classify.photos(data, {})


def test_a_sheet_without_photos_is_one_clear_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["sheet", "--sheet", str(tmp_path / "s.png"), "--data", str(tmp_path)])
    assert sheet_main("lowlight", lowlight.degrade, ("light",)) == 2
    assert "train-clean' does not exist" in capsys.readouterr().err


def write() -> None:
    cases = [
        {"width": w, "height": h, "seed": s, "features": [float(f"{v:.12g}") for v in features(formula(w, h, s))]}
        for w, h, s in ((64, 48, 1), (97, 131, 2), (520, 60, 3))
    ]
    FIXTURE.write_text(json.dumps({"names": list(FEATURES), "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    write()
