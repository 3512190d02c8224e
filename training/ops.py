"""The network's primitive operations, each in the form that trains fastest.

On a CPU with a C++ compiler they run in kernels/; elsewhere (CUDA, no compiler) in PyTorch. Both are tested against
each other.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

BUILD = Path(__file__).parent / "runs" / "build"


@functools.cache
def kernels():
    """The compiled kernels, built once into training/runs/build, or None where they cannot be built."""
    if os.environ.get("ELFIN_KERNELS") == "0":
        return None
    if not (shutil.which(os.environ.get("CXX", "c++")) and shutil.which("ninja")):
        print("training: no C++ compiler or no ninja, so PyTorch's own kernels are used (slower)", file=sys.stderr)
        return None
    from torch.utils.cpp_extension import load

    BUILD.mkdir(parents=True, exist_ok=True)
    sources = sorted(map(str, (Path(__file__).parent / "kernels").glob("*.cpp")))
    flags = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fopenmp", "-std=c++20"]
    try:
        return load("elfin_kernels", sources, build_directory=str(BUILD), extra_cflags=flags)
    except (RuntimeError, ImportError, OSError, subprocess.SubprocessError) as error:
        reason = next((line for line in str(error).splitlines() if "error" in line.lower()), type(error).__name__)
        print(f"training: the kernels do not compile ({reason.strip()}), so PyTorch's own are used (slower)", file=sys.stderr)
        return None


def by_kernel(x: Tensor) -> bool:
    return x.device.type == "cpu" and kernels() is not None


def in_whole_vectors(channels: int) -> bool:
    """Whether the fused kernels take this width: whole registers of AVX-512."""
    return channels % 16 == 0


def autocast(x: Tensor) -> Tensor:
    return x.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else x


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, weight = x.contiguous(), weight.contiguous()
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return kernels().depthwise(x, weight, bias)

    @staticmethod
    def backward(ctx, grad: Tensor):
        dx, dw, db = kernels().depthwise_back(grad.contiguous(), *ctx.saved_tensors, ctx.has_bias)
        return dx, dw, db if ctx.has_bias else None


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, weight = x.contiguous(), weight.contiguous()
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return kernels().pointwise(x, weight, bias)

    @staticmethod
    def backward(ctx, grad: Tensor):
        dx, dw, db = kernels().pointwise_back(grad.contiguous(), *ctx.saved_tensors, ctx.has_bias)
        return dx, dw, db if ctx.has_bias else None


class _Conv3(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight.to(x.dtype), padding=1)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        dx = torch.ops.aten.convolution_backward(grad, x, weight.to(x.dtype), None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1,
                                                 (ctx.needs_input_grad[0], False, False))[0]
        return dx, kernels().conv3_weight(nhwc(grad), nhwc(x).contiguous())


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, qkv: Tensor, residual: Tensor, temperature: Tensor, project: Tensor) -> Tensor:
        qkv, project = qkv.contiguous(), project.contiguous()
        out, stats = kernels().attention(qkv, residual.contiguous(), temperature, project)
        ctx.save_for_backward(qkv, stats, temperature, project)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        grad = grad.contiguous()
        dqkv, dt, dp = kernels().attention_back(grad, *ctx.saved_tensors)
        return dqkv, grad, dt, dp


class _SelfAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, *weights: Tensor) -> Tensor:
        x, weights = x.contiguous(), [w.contiguous() for w in weights]
        out, qkv, stats = kernels().self_attention(x, *weights)
        ctx.save_for_backward(x, qkv, stats, *weights)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        return tuple(kernels().self_attention_back(grad.contiguous(), *ctx.saved_tensors))


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, *weights: Tensor) -> Tensor:
        x, weights = x.contiguous(), [w.contiguous() for w in weights]
        ctx.save_for_backward(x, *weights)
        return kernels().feed_forward(x, *weights)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return tuple(kernels().feed_forward_back(grad.contiguous(), *ctx.saved_tensors))


class _Enlarge(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return interpolate(x, factor)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return nchw(kernels().enlarge_back(nhwc(grad).contiguous(), ctx.factor)), None


def nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def nchw(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """1×1 convolution."""
    if by_kernel(x):
        n, c, h, w = x.shape
        y = _Pointwise.apply(nhwc(autocast(x)).reshape(n * h * w, c), weight, bias)
        return nchw(y.view(n, h, w, weight.shape[0]))
    return F.conv2d(x, weight, bias)


def convolve3(x: Tensor, weight: Tensor) -> Tensor:
    """Dense 3×3, zero padding."""
    if by_kernel(x) and in_whole_vectors(x.shape[1]):
        return _Conv3.apply(autocast(x).contiguous(memory_format=torch.channels_last), weight)
    return F.conv2d(x, weight, padding=1)


def depthwise3(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Depthwise 3×3, zero padding."""
    if by_kernel(x):
        return nchw(_Depthwise.apply(nhwc(x), weight, bias))
    return F.conv2d(x, weight, bias, padding=1, groups=x.shape[1])


def self_attention(x: Tensor, gamma: Tensor, beta: Tensor, qkv: Tensor, depth: Tensor, temperature: Tensor, project: Tensor) -> Tensor:
    """x + project · attention(depthwise3(qkv · norm(x))) of a transformer block: one pass to qkv, one from it."""
    if by_kernel(x) and in_whole_vectors(x.shape[1]):
        return nchw(_SelfAttention.apply(nhwc(autocast(x)), gamma, beta, qkv, depth, temperature.flatten(), project.flatten(1)))
    y = depthwise3(pointwise(pixel_norm(x, gamma, beta), qkv, None), depth, None)
    return channel_attention(y, temperature, project, x)


def feed_forward(x: Tensor, gamma: Tensor, beta: Tensor, enter: Tensor, depth: Tensor, leave: Tensor) -> Tensor:
    """x + leave · (gelu(a)·b), [a b] = depthwise3(enter · norm(x)): one pass, nothing kept between."""
    if by_kernel(x) and in_whole_vectors(x.shape[1]):
        return nchw(_FeedForward.apply(nhwc(autocast(x)), gamma, beta, enter, depth, leave))
    a, b = depthwise3(pointwise(pixel_norm(x, gamma, beta), enter, None), depth, None).chunk(2, 1)
    return x + pointwise(F.gelu(a) * b, leave, None)


def pixel_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """LayerNorm over the channels of each pixel; a view, not a copy, when x is channels-last."""
    with torch.autocast(x.device.type, enabled=False):
        return nchw(F.layer_norm(nhwc(x), (x.shape[1],), weight.to(x.dtype), bias.to(x.dtype), 1e-5))


def channel_attention(qkv: Tensor, temperature: Tensor, project: Tensor, residual: Tensor) -> Tensor:
    """residual + project · softmax(t · q̂ k̂ᵀ) · v, where q̂ and k̂ are L2-normalised over the pixels.

    Normalising the c×c Gram matrix instead of q and k is exact and saves two passes over them; so does
    multiplying the projection into the attention matrix before it meets v. The matrices are float32 always.
    """
    n, c, h, w = residual.shape
    heads = temperature.shape[0]
    if by_kernel(qkv) and in_whole_vectors(c):
        return nchw(_Attention.apply(nhwc(qkv), nhwc(residual).to(qkv.dtype), temperature.flatten(), project.flatten(1)))
    x = nhwc(qkv).reshape(n, h * w, 3 * c)
    r = nhwc(residual).reshape(n, h * w, c).to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        qk, v = x.split((2 * c, c), 2)
        qk = qk.float()
        gram = qk.transpose(1, 2) @ qk  # n 2c 2c
        norm = gram.diagonal(dim1=1, dim2=2).clamp_min(1e-24).rsqrt()  # 1/max(|·|, 1e-12), as F.normalize
        s = gram[:, :c, c:] * norm[:, :c, None] * norm[:, None, c:]  # n c c
        d = c // heads
        s = s.view(n, heads, d, heads, d).diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)  # n heads d d
        a = (s * temperature).softmax(-1)
        m = project.float().view(c, heads, d).permute(1, 0, 2) @ a  # n heads c d
        m = m.permute(0, 1, 3, 2).reshape(n, c, c).to(v.dtype)
        y = torch.baddbmm(r, v, m)
    return nchw(y.view(n, h, w, c))


def halve(x: Tensor) -> Tensor:
    """Bilinear ×½ without corner alignment: a 2×2 mean."""
    return F.avg_pool2d(x, 2)


def inner_quads(x: Tensor) -> Tensor:
    """The inner 2×2 of each 4×4, side by side."""
    n, c, h, w = x.shape
    x = nhwc(x).reshape(n, h // 4, 4, w // 4, 4, c)[:, :, 1:3, :, 1:3]
    return nchw(x.reshape(n, h // 2, w // 2, c))


def interpolate(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def enlarge(x: Tensor, factor: int) -> Tensor:
    """Bilinear without corner alignment."""
    if by_kernel(x) and in_whole_vectors(x.shape[1]):
        return _Enlarge.apply(x, factor)
    return interpolate(x, factor)


def quadrants(x: Tensor) -> Tensor:
    """q[:, 3k + ch, i, j] = x[:, ch, i + (k >> 1)·H/2, j + (k & 1)·W/2]."""
    h, w = x.shape[2] // 2, x.shape[3] // 2
    q = torch.cat((x[:, :, :h, :w], x[:, :, :h, w:], x[:, :, h:, :w], x[:, :, h:, w:]), 1)
    return q.contiguous(memory_format=torch.channels_last)


def convolve3_shuffled(x: Tensor, weight: Tensor) -> Tensor:
    """Dense 3×3, then pixel shuffle with row and column swapped: out[g, 2i+a, 2j+b] = y[4g + 2b + a, i, j].

    The weights are put in the order a, b, g instead of the picture: what is moved then are whole pixels of g channels.
    """
    n, _, h, w = x.shape
    g = weight.shape[0] // 4
    order = weight.view(g, 2, 2, *weight.shape[1:]).permute(2, 1, 0, 3, 4, 5).reshape(weight.shape)
    y = nhwc(convolve3(x, order)).reshape(n, h, w, 2, 2, g)  # n i j a b g
    return nchw(y.permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, g))
