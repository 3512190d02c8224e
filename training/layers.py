"""What ELF's blocks are built of: convolutions, the norm of a pixel, channel attention; keys as in the authors' checkpoints."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training import ops

REDUCTION = 4  # of channel attention's bottleneck


class DenseConv(nn.Conv2d):
    """A dense 3×3 with zero padding, stride 1."""

    def __init__(self, cin: int, cout: int):
        super().__init__(cin, cout, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return ops.convolve3(x, self.weight)


def conv3(cin: int, cout: int, stride: int = 1) -> nn.Conv2d:
    return DenseConv(cin, cout) if stride == 1 else nn.Conv2d(cin, cout, 3, stride, 1, bias=False)


class PointConv(nn.Conv2d):
    """A 1×1 convolution."""

    def __init__(self, cin: int, cout: int, bias: bool = False):
        super().__init__(cin, cout, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return ops.pointwise(x, self.weight, self.bias)


def conv1(cin: int, cout: int) -> PointConv:
    return PointConv(cin, cout)


class DepthwiseConv(nn.Conv2d):
    """A depthwise 3×3 with zero padding; `ops.depthwise3` chooses the kernel."""

    def __init__(self, c: int, bias: bool = False):
        super().__init__(c, c, 3, 1, 1, groups=c, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return ops.depthwise3(x, self.weight, self.bias)


class PixelNorm(nn.Module):
    """LayerNorm of each pixel over its channels (key `<norm>.body.*`)."""

    def __init__(self, c: int):
        super().__init__()
        self.body = nn.LayerNorm(c, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        return ops.pixel_norm(x, self.body.weight, self.body.bias)


class CALayer(nn.Module):
    """x · sigmoid(1×1(ReLU(1×1(mean x))))."""

    def __init__(self, c: int):
        super().__init__()
        self.conv_du = nn.Sequential(conv1(c, c // REDUCTION), nn.ReLU(), conv1(c // REDUCTION, c))

    def scale(self, x: Tensor) -> Tensor:
        mean = x.sum((2, 3), dtype=torch.float32) / (x.shape[2] * x.shape[3])  # b c; of mean(), the way back divides every pixel
        squeeze, _, excite = self.conv_du
        with torch.autocast(x.device.type, enabled=False):
            s = F.linear(mean, squeeze.weight.float().flatten(1)).relu()
            s = F.linear(s, excite.weight.float().flatten(1)).sigmoid()
        return s.to(x.dtype)[:, :, None, None]  # b c 1 1

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale(x)

    def plus(self, x: Tensor, y: Tensor) -> Tensor:
        """CA(x) + y in one pass."""
        return torch.addcmul(y, x, self.scale(x))


class DSC(nn.Module):
    """Depthwise separable convolution, the only convolutions with biases."""

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.depth_conv = DepthwiseConv(cin, bias=True)
        self.point_conv = PointConv(cin, cout, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.point_conv(self.depth_conv(x))
