"""The ELF network (arXiv 2207.10455), under the authors' state-dict keys, written for training speed.

Shapes at line ends: b images, c channels, H×W the image's sides, h×w half of them. Everything between the
image and the output is channels-last, so a pixel's channels lie side by side: LayerNorm, 1×1 convolutions and
attention then need no copy. Sides must be multiples of 16 (half resolution, then three halvings).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from training import ops
from training.layers import DSC, CALayer, DepthwiseConv, PixelNorm, conv1, conv3

FFN_EXPANSION = 2.66


@dataclass(frozen=True)
class ElfConfig:
    """One configuration expresses the four published variants; a preset names each."""

    channels: int
    orb_blocks: int
    orb_heads: int
    mam_heads: int
    gate: str  # 'gelu' (exact, by erf) or 'prelu'
    output: str  # 'background': r + up(B); 'residual': x − (r + up(R))
    unused_act: bool  # the checkpoint holds a PReLU in each FFN that the network never applies


PRESETS = {
    "elf": ElfConfig(48, 10, 2, 4, "gelu", "background", True),
    "elf-prelu": ElfConfig(48, 10, 2, 4, "prelu", "background", False),
    "elf-lw": ElfConfig(32, 5, 1, 4, "gelu", "background", False),
    "alformer": ElfConfig(48, 5, 2, 1, "prelu", "residual", False),
}


class CAB(nn.Module):
    """CA(conv · PReLU · conv (x)) + x."""

    def __init__(self, c: int, act: nn.PReLU):
        super().__init__()
        self.body = nn.Sequential(conv3(c, c), act, conv3(c, c))
        self.CA = CALayer(c)

    def forward(self, x: Tensor) -> Tensor:
        return self.CA.plus(self.body(x), x)


class S2FB(nn.Module):
    """CA(DSC[a, b]) + a."""

    def __init__(self, c: int):
        super().__init__()
        self.DSC = DSC(2 * c, c)
        self.CA_fea = CALayer(c)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.CA_fea.plus(self.DSC(torch.cat((a, b), 1)), a)


class CABDsc(nn.Module):
    """r = CA(DSC · PReLU · DSC (x)); result S2FB(r, x), without + x."""

    def __init__(self, c: int, act: nn.PReLU):
        super().__init__()
        self.body = nn.Sequential(DSC(c, c), act, DSC(c, c))
        self.CA = CALayer(c)
        self.S2FB2 = S2FB(c)

    def forward(self, x: Tensor) -> Tensor:
        return self.S2FB2(self.CA(self.body(x)), x)


class S2FBp(nn.Module):
    """Four inputs joined pairwise from the last: f = DSC[x, f]; result CA(f) + f."""

    def __init__(self, c: int):
        super().__init__()
        self.DSC1, self.DSC2, self.DSC3 = DSC(2 * c, c), DSC(2 * c, c), DSC(2 * c, c)
        self.CA_fea = CALayer(c)

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor, x4: Tensor) -> Tensor:
        f = self.DSC1(torch.cat((x3, x4), 1))
        f = self.DSC2(torch.cat((x2, f), 1))
        f = self.DSC3(torch.cat((x1, f), 1))
        return self.CA_fea.plus(f, f)


class MDTA(nn.Module):
    """Attention between channels over all pixels, with q, k and v from one 1×1 and one depthwise 3×3."""

    def __init__(self, c: int, heads: int):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv1(c, 3 * c)
        self.qkv_dwconv = DepthwiseConv(3 * c)
        self.project_out = conv1(c, c)

    def plus(self, x: Tensor, norm: PixelNorm) -> Tensor:
        """x + attention(norm(x))"""
        body = norm.body
        return ops.self_attention(x, body.weight, body.bias, self.qkv.weight, self.qkv_dwconv.weight, self.temperature, self.project_out.weight)


class Attention(nn.Module):
    """MAM's attention: q, k and v come from three features, by depthwise 3×3 only."""

    def __init__(self, c: int, heads: int):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q, self.k, self.v = DepthwiseConv(c), DepthwiseConv(c), DepthwiseConv(c)
        self.project_out = conv1(c, c)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, residual: Tensor) -> Tensor:
        weight = torch.cat((self.q.weight, self.k.weight, self.v.weight))
        qkv = ops.depthwise3(torch.cat((q, k, v), 1), weight, None)
        return ops.channel_attention(qkv, self.temperature, self.project_out.weight, residual)


class FeedForward(nn.Module):
    """Gated FFN: 1×1 to twice the hidden channels, depthwise 3×3, gate(a)·b, 1×1 back."""

    def __init__(self, c: int, cfg: ElfConfig):
        super().__init__()
        hidden = int(c * FFN_EXPANSION)
        self.gate = cfg.gate
        if cfg.gate == "prelu" or cfg.unused_act:
            self.act1 = nn.PReLU()
        self.project_in = conv1(c, 2 * hidden)
        self.dwconv = DepthwiseConv(2 * hidden)
        self.project_out = conv1(hidden, c)

    def plus(self, x: Tensor, norm: PixelNorm) -> Tensor:
        """x + ffn(norm(x))"""
        if self.gate == "gelu":
            return ops.feed_forward(x, norm.body.weight, norm.body.bias, self.project_in.weight, self.dwconv.weight, self.project_out.weight)
        a, b = self.dwconv(self.project_in(norm(x))).chunk(2, 1)
        return x + self.project_out(self.act1(a) * b)


class RestormerBlock(nn.Module):
    def __init__(self, c: int, heads: int, cfg: ElfConfig):
        super().__init__()
        self.norm1 = PixelNorm(c)
        self.attn = MDTA(c, heads)
        self.norm2 = PixelNorm(c)
        self.ffn = FeedForward(c, cfg)

    def forward(self, x: Tensor) -> Tensor:
        return self.ffn.plus(self.attn.plus(x, self.norm1), self.norm2)


class TransformerBlock(nn.Module):
    """MAM's block. The authors name R's features "key", but the call hands them to the query slot."""

    def __init__(self, c: int, cfg: ElfConfig):
        super().__init__()
        self.norm_key, self.norm_query, self.norm_value = PixelNorm(c), PixelNorm(c), PixelNorm(c)
        self.attn = Attention(c, cfg.mam_heads)
        self.norm2 = PixelNorm(c)
        self.ffn = FeedForward(c, cfg)

    def forward(self, rain: Tensor, image: Tensor) -> Tensor:
        x = self.attn(self.norm_key(rain), self.norm_query(image), self.norm_value(image), image)
        return self.ffn.plus(x, self.norm2)


class MAM(nn.Module):
    """Multi-input attention: the predicted degradation asks the image what to look at (key `ssnet.stem`)."""

    def __init__(self, c: int, cfg: ElfConfig):
        super().__init__()
        self.conv_stem0 = conv3(3, c, 2)
        self.conv_stem2 = conv3(3, c)
        self.conv_stem3 = conv3(3, c)
        self.former = TransformerBlock(c, cfg)
        self.S2FB = S2FB(c)

    def forward(self, x: Tensor, rain: Tensor, background: Tensor) -> Tensor:
        attended = self.former(self.conv_stem2(rain), self.conv_stem0(x))  # b c h w
        return self.S2FB(self.conv_stem3(background), attended)


class ORB(nn.Module):
    """Original-resolution block: transformers, a convolution, plus the input."""

    def __init__(self, c: int, cfg: ElfConfig):
        super().__init__()
        self.modules_body = nn.Sequential(*[RestormerBlock(c, cfg.orb_heads, cfg) for _ in range(cfg.orb_blocks)])
        self.conv = conv3(c, c)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.modules_body(x)) + x


class ORSNet(nn.Module):
    def __init__(self, c: int, cfg: ElfConfig):
        super().__init__()
        self.orb = ORB(c, cfg)

    def forward(self, x: Tensor) -> Tensor:
        return self.orb(x)


class Down(nn.Module):
    """Bilinear ½ (a 2×2 mean) or ¼ (the mean of the inner 2×2 of each 4×4), then 1×1."""

    def __init__(self, c: int, factor: int = 2):
        super().__init__()
        self.factor = factor
        self.down = nn.Sequential(nn.Identity(), conv1(c, c))

    def forward(self, x: Tensor) -> Tensor:
        if self.factor == 4:  # drop the outer ring of each 4×4: what is left are its inner 2×2s
            x = ops.inner_quads(x)
        return self.down(ops.halve(x))


class Up(nn.Module):
    """1×1, then bilinear ×2 or ×4: the two commute, and the 1×1 is 4 to 16 times cheaper before."""

    def __init__(self, c: int, factor: int = 2):
        super().__init__()
        self.factor = factor
        self.up = nn.Sequential(nn.Identity(), conv1(c, c))

    def forward(self, x: Tensor) -> Tensor:
        return ops.enlarge(self.up(x), self.factor)


class EncoderLevel(nn.Module):
    def __init__(self, c: int, act: nn.PReLU):
        super().__init__()
        self.CAB1 = CABDsc(c, act)
        self.S2FB2 = S2FB(c)

    def forward(self, x: Tensor) -> Tensor:
        return self.S2FB2(x, self.CAB1(x))


class DecoderLevel(nn.Module):
    def __init__(self, c: int, act: nn.PReLU):
        super().__init__()
        self.S2FB0 = S2FBp(c)
        self.CAB1 = CAB(c, act)
        self.S2FB2 = S2FB(c)

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor, x4: Tensor) -> Tensor:
        f = self.S2FB0(x1, x2, x3, x4)
        return self.S2FB2(f, self.CAB1(f))


class Encoder(nn.Module):
    def __init__(self, c: int, act: nn.PReLU):
        super().__init__()
        for level in (1, 2, 3):
            setattr(self, f"down_stage{level}", Down(c))
            setattr(self, f"encoder_level{level}", EncoderLevel(c, act))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        e1 = self.encoder_level1(self.down_stage1(x))
        e2 = self.encoder_level2(self.down_stage2(e1))
        return e1, e2, self.encoder_level3(self.down_stage3(e2))  # ½, ¼, ⅛ of h×w


class Decoder(nn.Module):
    def __init__(self, c: int, act: nn.PReLU):
        super().__init__()
        for level in (1, 2, 3):
            setattr(self, f"decoder_level{level}", DecoderLevel(c, act))
            setattr(self, f"up_stage{level}", Up(c))
        self.up_32, self.up_31, self.up_21 = Up(c), Up(c, 4), Up(c)
        self.down_13, self.down_23, self.down_12 = Down(c, 4), Down(c), Down(c)

    def forward(self, e1: Tensor, e2: Tensor, e3: Tensor) -> Tensor:
        d3 = self.decoder_level3(e3, e3, self.down_23(e2), self.down_13(e1))
        d2 = self.decoder_level2(self.up_stage3(d3), e2, self.down_12(e1), self.up_32(e3))
        d1 = self.decoder_level1(self.up_stage2(d2), e1, self.up_21(e2), self.up_31(e3))
        return self.up_stage1(d1)


class DSNet(nn.Module):
    """The degradation branch: predicts R at half resolution; B = d − R is the coarse background."""

    def __init__(self, cfg: ElfConfig):
        super().__init__()
        c, act = cfg.channels, nn.PReLU()  # one PReLU shared by every CAB of the branch
        self.shallow_feat1 = nn.Sequential(conv3(3, c), CAB(c, act))
        self.shallow_feat2 = nn.Sequential(conv3(12, c), CAB(c, act))
        self.former = nn.Sequential(RestormerBlock(c, 1, cfg))
        self.fuse_conv = conv3(2 * c, c)
        self.orsnet = ORSNet(c, cfg)
        self.dsnnet_encoder = Encoder(c, act)
        self.dsnnet_decoder = Decoder(c, act)
        self.S2FB_fuse = S2FB(c)
        self.tail = conv3(c, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        d = ops.halve(x)  # b 3 h w
        q = ops.quadrants(x)  # b 12 h w: top-left, top-right, bottom-left, bottom-right
        f = torch.cat((self.shallow_feat1(d), self.former(self.shallow_feat2(q))), 1)
        f = self.fuse_conv(f)  # b c h w
        f = self.S2FB_fuse(self.orsnet(f), self.dsnnet_decoder(*self.dsnnet_encoder(f)))
        rain = self.tail(f).float()  # b 3 h w
        return rain, d - rain


class SSNet(nn.Module):
    """The background branch: from the image, R and B to the full-resolution output's residual."""

    def __init__(self, cfg: ElfConfig):
        super().__init__()
        c, act = cfg.channels, nn.PReLU()
        self.former_first = cfg.output == "residual"
        self.stem = MAM(c, cfg)
        self.former = nn.Sequential(RestormerBlock(c, 1, cfg))
        self.orsnet = ORSNet(c, cfg)
        self.ssnnet_encoder = Encoder(c, act)
        self.ssnnet_decoder = Decoder(c, act)
        self.S2FB_fuse = S2FB(c)
        self.deep_conv = conv3(c, 2 * c)
        self.tail = conv3(c // 2, 3)

    def forward(self, x: Tensor, rain: Tensor, background: Tensor) -> Tensor:
        f = self.stem(x, rain, background)  # b c h w
        if self.former_first:
            f = self.former(f)
        f = self.S2FB_fuse(self.orsnet(f), self.ssnnet_decoder(*self.ssnnet_encoder(f)))
        if not self.former_first:
            f = self.former(f)
        f = ops.convolve3_shuffled(f, self.deep_conv.weight)  # b c/2 H W
        return self.tail(f).float()  # b 3 H W


class Elf(nn.Module):
    """image [b, 3, H, W] in [0, 1] → (restored [b, 3, H, W], coarse background [b, 3, H/2, W/2]), neither clipped."""

    def __init__(self, cfg: ElfConfig):
        super().__init__()
        self.cfg = cfg
        self.dsnet = DSNet(cfg)
        self.ssnet = SSNet(cfg)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[2] % 16 or x.shape[3] % 16:
            raise ValueError(f"sides must be multiples of 16, got {x.shape[3]}×{x.shape[2]}")
        rain, background = self.dsnet(x)
        r = self.ssnet(x, rain, background)
        if self.cfg.output == "residual":
            return x - (r + ops.enlarge(rain, 2)), background
        return r + ops.enlarge(background, 2), background


def create_elf(preset: str, channels: int | None = None) -> Elf:
    """A freshly initialised network of one preset; `channels` narrows it for tests."""
    if preset not in PRESETS:
        raise ValueError(f"unknown preset '{preset}'; choose one of {', '.join(PRESETS)}")
    cfg = PRESETS[preset]
    return Elf(replace(cfg, channels=channels) if channels else cfg).to(memory_format=torch.channels_last)
