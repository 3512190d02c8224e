"""The network against tensors from the authors' modules (test/fixtures/golden), and the kernels against PyTorch."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training import ops
from training.model import PRESETS, create_elf

GOLDEN = Path(__file__).parents[2] / "test" / "fixtures" / "golden"
PUBLISHED = {"elf": (1_536_785, 632), "elf-prelu": (1_536_785, 632), "elf-lw": (568_308, 499), "alformer": (1_223_972, 512)}


def golden(preset: str):
    tensors = load_file(str(GOLDEN / f"{preset}-c16.safetensors"))
    model = create_elf(preset, 16)
    model.load_state_dict({k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")})
    return model, tensors


@pytest.fixture(params=["kernels", "pytorch"])
def path(request, monkeypatch):
    if request.param == "pytorch":
        monkeypatch.setattr(ops, "by_kernel", lambda x: False)
    return request.param


@pytest.mark.parametrize("preset", PRESETS)
def test_agrees_with_the_authors_modules(preset, path):
    model, g = golden(preset)
    with torch.no_grad():
        output, background = model(g["input"])
    assert (output - g["output"]).abs().max() <= 1e-4
    assert (background - g["background"]).abs().max() <= 1e-4


@pytest.mark.parametrize("preset", PRESETS)
def test_has_the_published_parameters_and_keys(preset):
    model = create_elf(preset)
    assert (sum(p.numel() for p in model.parameters()), len(model.state_dict())) == PUBLISHED[preset]


def gradients(preset: str, dtype: torch.dtype | None, size=(48, 80)):
    model, _ = golden(preset)
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(3)).requires_grad_()
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        output, background = model(x)
    (output.square().mean() + background.square().mean()).backward()
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return grads | {"input": x.grad}


@pytest.mark.parametrize("preset", ["elf", "elf-lw", "elf-prelu"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(None, 1e-3), (torch.bfloat16, 0.15)])
def test_kernels_give_pytorchs_gradients(preset, dtype, tolerance, monkeypatch):
    if ops.kernels() is None:
        pytest.fail("the kernels did not build: install a C++ compiler and ninja to run this suite")
    ours = gradients(preset, dtype)
    monkeypatch.setattr(ops, "by_kernel", lambda x: False)
    theirs = gradients(preset, dtype)
    largest = max(float(g.norm()) for g in theirs.values())
    for name, reference in theirs.items():  # norms far below the largest are rounding, not gradient
        assert float((ours[name] - reference).norm()) <= tolerance * float(reference.norm()) + 1e-4 * largest, name


def test_band_seams_do_not_show(monkeypatch):
    """Kernels work in bands of 32 rows: 80 rows make two whole bands and a part."""
    x = torch.randn(1, 20, 80, 24, generator=torch.Generator().manual_seed(1)).to(memory_format=torch.channels_last)
    w = torch.randn(20, 1, 3, 3, generator=torch.Generator().manual_seed(2))
    results = []
    for kernel in (True, False):
        monkeypatch.setattr(ops, "by_kernel", lambda x, kernel=kernel: kernel)
        a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
        y = ops.depthwise_gelu_gate(a, b)
        (y * torch.linspace(0, 1, y.numel()).view_as(y)).sum().backward()
        results.append((y.detach(), a.grad, b.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_odd_sides_are_refused():
    with pytest.raises(ValueError, match="multiples of 16, got 40×32"):
        create_elf("elf-lw", 16)(torch.zeros(1, 3, 32, 40))
