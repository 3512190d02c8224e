"""Starting weights for `elf` from a trained `elf-lw`: wider, twice as deep, at first nearly the same function.

    python -m training.grow --weights packages/models/derain-lw/weights.safetensors --to start.safetensors
    python -m training.train --task derain --preset elf --init start.safetensors …

Every feature gains channels that are zero at first: what makes them is zero, what reads them is random, so gradients
reach both. What is wider inside a block (attention, feed-forward, squeeze) is random on its way in and zero on its way
out. Every second transformer of an original-resolution block is new, with outputs of zero. Not kept exactly: a norm
sees sixteen zeros more (its scale makes up for the spread, not for the mean), and a softmax has more entries.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import torch
from torch import Tensor

from training.model import PRESETS, create_elf
from training.provenance import origin_of
from training.state import StateError, check_fit, load_weights, write_tensors

BODY = re.compile(r"(.*orsnet\.orb\.modules_body\.)(\d+)\.(.*)")
WIDER_OUT = re.compile(r"(attn\.qkv|ffn\.project_in|conv_du\.0)\.weight$")
WIDER_IN = re.compile(r"((attn|ffn)\.project_out|conv_du\.2)\.weight$")


def places(old: int, new: int, groups: int) -> Tensor:
    """Where `old` channels in equal groups go among `new` ones in as many groups."""
    a, b = old // groups, new // groups
    return torch.cat([torch.arange(a) + g * b for g in range(groups)])


def groups_of(name: str, dim: int, size: int, channels: int, heads: int) -> int:
    """In how many parts the channels along a weight's dimension come."""
    if "qkv" in name and dim == 0:
        return 3 * heads
    if "attn.project_out" in name and dim == 1 and "stem" not in name:
        return heads
    if "ffn.project_in" in name or "ffn.dwconv" in name:
        return 2 if dim == 0 else 1
    # two features side by side; deep_conv's own are one, for the pixel shuffle
    return 2 if size == 2 * channels and not (name.endswith("deep_conv.weight") and dim == 0) else 1


def widen(name: str, fresh: Tensor, old: Tensor, channels: int, heads: int) -> Tensor:
    """One weight: the old values in their places among fresh ones, zeros where the module's docstring says so."""
    if fresh.shape == old.shape:
        return old.clone()
    if old.ndim == 1:
        out = torch.zeros_like(fresh)
        at = places(len(old), len(fresh), groups_of(name, 0, len(old), channels, heads))
        if "norm" in name and name.endswith("weight"):
            scale = (len(old) / len(fresh)) ** 0.5
            out.fill_(scale)
            out[at] = old * scale
        else:
            out[at] = old
        return out
    if old.shape[1:] == (1, 1):  # temperature: one a head
        return old.repeat(len(fresh) // len(old), 1, 1)
    out = fresh.clone()
    rows = places(old.shape[0], fresh.shape[0], groups_of(name, 0, old.shape[0], channels, heads))
    cols = places(old.shape[1], fresh.shape[1], groups_of(name, 1, old.shape[1], channels, heads))
    depthwise = old.shape[1] == 1
    if WIDER_IN.search(name):
        out[:] = 0
    elif not (WIDER_OUT.search(name) or depthwise):
        added = torch.ones(fresh.shape[0], dtype=torch.bool)
        added[rows] = False
        out[added] = 0
    out[rows[:, None], cols] = old
    return out


def grow(small: dict[str, Tensor], seed: int = 1) -> dict[str, Tensor]:
    """Weights of `elf` that begin where those of `elf-lw` are."""
    torch.manual_seed(seed)
    out = {}
    for name, fresh in create_elf("elf").state_dict().items():
        source, heads = name, 1
        if match := BODY.match(name):
            heads, layer = PRESETS["elf"].orb_heads, int(match[2])
            if layer % 2:  # new: adds nothing at first
                out[name] = torch.zeros_like(fresh) if "project_out" in name else fresh.clone()
                continue
            source = f"{match[1]}{layer // 2}.{match[3]}"
        old = small.get(source)
        out[name] = fresh.clone() if old is None else widen(name, fresh, old, PRESETS["elf-lw"].channels, heads)
    return out


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m training.grow", description=__doc__.splitlines()[0])
    p.add_argument("--weights", type=Path, required=True, help="safetensors of preset elf-lw")
    p.add_argument("--to", type=Path, required=True)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args(argv)
    try:
        small = load_weights(args.weights)
        check_fit(create_elf("elf-lw").state_dict(), small, args.weights, "elf-lw")
    except StateError as error:
        print(f"grow: {error}", file=sys.stderr)
        return 2
    grown = {k: v.contiguous() for k, v in grow(small, args.seed).items()}
    origin = origin_of(args.weights, "was grown, wider and twice as deep, from")
    write_tensors(grown, args.to, {"preset": "elf", "origin": json.dumps(origin, ensure_ascii=False)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
