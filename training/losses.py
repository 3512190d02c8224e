"""Losses by phase: Charbonnier with the coarse background, then mean squares from two fifths of the decay branch on."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

Y_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # MATLAB's rgb2ycbcr, of RGB in [0, 1]


def charbonnier(x: Tensor, y: Tensor, eps: float = 1e-3) -> Tensor:
    return ((x - y).square() + eps * eps).sqrt().mean()


def mse_rgb_y(x: Tensor, y: Tensor) -> Tensor:
    """10·MSE over RGB + 5·MSE of luma: what PSNR on Y and on RGB are made of."""
    d = x - y
    luma = sum(w * d[:, i] for i, w in enumerate(Y_WEIGHTS))
    return 10 * d.square().mean() + 5 * luma.square().mean()


def restoration_loss(output: Tensor, background: Tensor, clean: Tensor, coarse: float, squares: bool) -> Tensor:
    """output [b, 3, H, W], background [b, 3, H/2, W/2], clean [b, 3, H, W], all in [0, 1].

    `coarse` weighs Charbonnier on the half-resolution background; `squares` replaces Charbonnier on the output.
    """
    main = mse_rgb_y(output, clean) if squares else charbonnier(output, clean)
    return main + coarse * charbonnier(background, F.avg_pool2d(clean, 2))
