"""The classifier's features against the fixture that the TypeScript is held to, and its table on plain cases.

`python -m training.tests.test_classify` writes the fixture anew, after a change of the features in both languages.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from training.classify import CLASSES, FEATURES, confusion, decide, features, fit, probabilities

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


def write() -> None:
    cases = [
        {"width": w, "height": h, "seed": s, "features": [float(f"{v:.12g}") for v in features(formula(w, h, s))]}
        for w, h, s in ((64, 48, 1), (97, 131, 2), (520, 60, 3))
    ]
    FIXTURE.write_text(json.dumps({"names": list(FEATURES), "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    write()
