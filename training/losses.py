"""Losses by phase: Charbonnier with the coarse background, then PSNR itself from two fifths of the decay branch on."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

Y_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # MATLAB's rgb2ycbcr, of RGB in [0, 1]
FLOOR = 1e-4  # mean square of 40 dB


def charbonnier(x: Tensor, y: Tensor, eps: float = 1e-3) -> Tensor:
    return ((x - y).square() + eps * eps).sqrt().mean()


def psnr_loss(x: Tensor, y: Tensor) -> Tensor:
    """−PSNR on RGB and on luma, in nepers over 100, of each picture, then their mean; above 40 dB it levels off.

    A mean of squares is about the worst pictures alone. Branches of 600 steps from one state of derain `elf-lw`, squares then
    this: light rain 32.49 and 32.65 dB, clean photos 40.51 and 41.05, heavy and mixed rain equal within 0.01.
    """
    d = x - y
    luma = sum(w * d[:, i] for i, w in enumerate(Y_WEIGHTS))
    return 0.01 * sum((e.square().flatten(1).mean(1) + FLOOR).log().mean() for e in (d, luma))


def restoration_loss(output: Tensor, background: Tensor, clean: Tensor, coarse: float, psnr: bool) -> Tensor:
    """output [b, 3, H, W], background [b, 3, H/2, W/2], clean [b, 3, H, W], all in [0, 1].

    `coarse` weighs Charbonnier on the half-resolution background; `psnr` replaces Charbonnier on the output by it.
    """
    main = psnr_loss(output, clean) if psnr else charbonnier(output, clean)
    return main + coarse * charbonnier(background, F.avg_pool2d(clean, 2))
