"""PSNR and SSIM against scikit-image, and the values of MATLAB's rgb2ycbcr."""

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from training.metrics import luma8, psnr8, score, ssim8, to8


def pair():
    rng = np.random.default_rng(0)
    a = rng.random((40, 52, 3))
    return a, np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1)


def test_luma_is_matlabs():
    colours = np.uint8([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 200, 77]]])
    assert luma8(colours).tolist() == [[16, 235, 81, 145, 41, 127]]


def test_agree_with_scikit_image():
    a, b = (to8(x) for x in pair())
    assert abs(psnr8(a, b) - peak_signal_noise_ratio(a, b)) < 1e-9
    x, y = luma8(a), luma8(b)
    theirs = structural_similarity(x, y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True)[1]
    assert abs(ssim8(x, y) - theirs[5:-5, 5:-5].mean()) < 1e-7


def test_score_of_equal_pictures():
    a, _ = pair()
    assert score(a, a, True) == (float("inf"), 1.0)
