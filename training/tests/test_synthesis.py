"""The syntheses: functions of their seed, 8-bit pictures, as dark or as rainy as their names say."""

import cv2
import numpy as np
import pytest

from training.metrics import score
from training.synthesis import lowlight, rain, underwater
from training.synthesis.common import psnr
from training.tasks import SETS, TASKS, validation_set


@pytest.fixture(scope="module")
def bank():
    return rain.create_bank(5, layers=24, side=128)


@pytest.fixture(scope="module")
def clean():
    rng = np.random.default_rng(1)
    return cv2.resize(rng.random((10, 12, 3)).astype(np.float32), (144, 128), interpolation=cv2.INTER_LINEAR)


def draw(name, clean, rng, kind, bank):
    if name == "rain":
        return rain.degrade(clean, rng, bank, kind)
    return {"lowlight": lowlight, "underwater": underwater}[name].degrade(clean, rng, kind)


@pytest.mark.parametrize("name", ["rain", "lowlight", "underwater"])
@pytest.mark.parametrize("kind", SETS)
def test_is_a_function_of_its_seed_and_gives_8_bit_pictures(name, kind, clean, bank):
    for seed in range(12):
        a, b = (draw(name, clean, np.random.default_rng(seed), kind, bank) for _ in range(2))
        assert np.array_equal(a, b)
        assert a.shape == clean.shape and a.dtype == np.float32
        assert a.min() >= 0 and a.max() <= 1 and np.allclose(a * 255, np.round(a * 255), atol=1e-3)
    other = draw(name, clean, np.random.default_rng(99), kind, bank)
    assert not np.array_equal(a, other)


@pytest.mark.parametrize("name", ["rain", "lowlight", "underwater"])
def test_clean_stays_clean(name, clean, bank):
    assert draw(name, clean, np.random.default_rng(0), "clean", bank) is clean


def test_rain_meets_its_strengths(clean, bank):
    heavy = [psnr(rain.degrade(clean, np.random.default_rng(i), bank, "heavy"), clean) for i in range(30)]
    light = [psnr(rain.degrade(clean, np.random.default_rng(i), bank, "light"), clean) for i in range(30)]
    assert 9 < np.mean(heavy) < 16.5 and max(heavy) < 24
    assert 20 < np.mean(light) < 32 and max(light) < 35


def test_heavy_low_light_is_under_10_db_on_average(clean):
    values = [psnr(lowlight.degrade(clean, np.random.default_rng(i), "heavy"), clean) for i in range(30)]
    assert np.mean(values) < 10


def test_water_takes_the_red_first(clean):
    lost = []
    for i in range(30):
        u = underwater.degrade(clean, np.random.default_rng(i), "heavy")
        lost.append(u.std((0, 1)) / clean.std((0, 1)))
    r, g, b = np.mean(lost, 0)
    assert r < g and r < b


def test_layers_are_periodic_and_lean_as_asked():
    layer = rain.render_layer(np.random.default_rng(3), 128, 0.0)
    assert layer.min() >= 0 and layer.max() <= 1
    down, across = np.abs(np.diff(layer, axis=0)).mean(), np.abs(np.diff(layer, axis=1)).mean()
    assert down < across  # angle 0 falls straight down: smooth along, sharp across
    seam = np.abs(layer[0] - layer[-1]).mean()
    assert seam < 3 * down + 1e-3


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_validation_crops_are_parts_of_the_set(task, data):
    whole, part = (next(iter(validation_set(task, "mixed", data, side, 1))) for side in (None, 64))
    y, x = (272 - 64) // 2, (336 - 64) // 2
    for w, p in zip(whole[1:], part[1:], strict=True):
        assert np.array_equal(w[y : y + 64, x : x + 64], p)
    assert score(*whole[1:], task.luma)[0] < 45
