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
def test_kernels_give_pytorchs_gradients(preset, monkeypatch):
    """In float32 to rounding; in bfloat16 they stray hardly further from float32 than PyTorch does."""
    if ops.kernels() is None:
        pytest.fail("the kernels did not build: install a C++ compiler and ninja to run this suite")
    ours, ours_bfloat16 = gradients(preset, None), gradients(preset, torch.bfloat16)
    monkeypatch.setattr(ops, "by_kernel", lambda x: False)
    exact, theirs_bfloat16 = gradients(preset, None), gradients(preset, torch.bfloat16)
    largest = max(float(g.norm()) for g in exact.values())
    for name, reference in exact.items():  # norms far below the largest are rounding, not gradient
        norm = float(reference.norm())
        assert float((ours[name] - reference).norm()) <= 1e-3 * norm + 1e-4 * largest, name
        allowed = 1.3 * float((theirs_bfloat16[name] - reference).norm()) + 0.02 * norm + 1e-3 * largest
        assert float((ours_bfloat16[name] - reference).norm()) <= allowed, name


@pytest.mark.parametrize("threads", [1, 3])
def test_band_seams_do_not_show(threads, monkeypatch):
    """Kernels give each thread a band of an image's rows: three threads make bands of 14, 14 and 12."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(1, 16, 40, 23, generator=generator).to(memory_format=torch.channels_last)
        shapes = [(16,), (16,), (84, 16, 1, 1), (84, 1, 3, 3), (16, 42, 1, 1), (48, 16, 1, 1), (48, 1, 3, 3), (2, 1, 1), (16, 16, 1, 1),
                  (12, 16, 3, 3),
                  (12, 1, 3, 3), (12,), (5, 12, 1, 1)]
        weights = [torch.randn(*s, generator=generator) / max(s[0], 1) ** 0.5 for s in shapes]
        results = []
        for kernel in (True, False):
            monkeypatch.setattr(ops, "by_kernel", lambda x, kernel=kernel: kernel)
            leaves = [t.clone().requires_grad_() for t in (x, *weights)]
            a, gamma, beta, enter, depth, leave, qkv, depth2, temperature, project, dense, odd, bias, mix = leaves
            y = ops.feed_forward(a, gamma, beta, enter, depth, leave)
            y = ops.convolve3(ops.self_attention(y, gamma, beta, qkv, depth2, temperature, project), dense)
            y = ops.pointwise(ops.depthwise3(y, odd, bias), mix, None)  # 12 channels: no whole number of vectors
            (y * torch.linspace(0, 1, y.numel()).view_as(y)).sum().backward()
            results.append([y.detach(), *(t.grad for t in leaves)])
        for ours, theirs in zip(*results, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    finally:
        torch.set_num_threads(before)


def test_odd_sides_are_refused():
    with pytest.raises(ValueError, match="multiples of 16, got 40×32"):
        create_elf("elf-lw", 16)(torch.zeros(1, 3, 32, 40))


def test_a_compiler_that_fails_leaves_pytorchs_kernels(tmp_path, monkeypatch, capsys):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.delenv("ELFIN_KERNELS", raising=False)
    monkeypatch.setattr(ops, "BUILD", tmp_path / "build")
    assert ops.kernels.__wrapped__() is None  # past the cache, which holds the ones that do compile
    assert "training: the kernels do not compile (" in capsys.readouterr().err
