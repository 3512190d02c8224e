"""`elf` grown from `elf-lw`: its function at first, and gradients wherever it has weights."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from training import grow
from training.losses import restoration_loss
from training.model import create_elf
from training.provenance import origin_of


@pytest.fixture(scope="module")
def lw():
    torch.manual_seed(5)
    return create_elf("elf-lw")


def write(model, file):
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, str(file))
    return str(file)


def test_begins_as_the_small_one(lw, tmp_path, capsys):
    assert grow.main(["--weights", write(lw, tmp_path / "lw.safetensors"), "--to", str(tmp_path / "elf.safetensors")]) == 0
    elf = create_elf("elf")
    elf.load_state_dict(load_file(str(tmp_path / "elf.safetensors")))
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        small, grown, fresh = lw(x)[0], elf(x)[0], create_elf("elf")(x)[0]
    assert float((grown - small).std()) < 0.2 * float(small.std())
    assert float((grown - small).std()) < 0.3 * float((fresh - small).std())


def test_every_weight_is_reached_by_gradients(lw):
    """Within three steps: what is zero on its way out must open before what lies behind it moves."""
    elf = create_elf("elf")
    elf.load_state_dict(grow.grow(lw.state_dict()))
    optimiser = torch.optim.SGD(elf.parameters(), 0.1)
    for seed in (1, 2, 3):
        x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
        optimiser.zero_grad()
        output, background = elf(x)
        restoration_loss(output, background, x.flip(3), 0.4, False).backward()
        optimiser.step()
    dead = [n for n, p in elf.named_parameters() if "act1" not in n and (p.grad is None or not p.grad.any())]
    assert dead == []


def test_says_what_it_was_grown_from(lw, tmp_path):
    save_file({k: v.contiguous().clone() for k, v in lw.state_dict().items()}, str(tmp_path / "lw.safetensors"),
              {"preset": "elf-lw", "task": "derain", "step": "6059", "provenance": json.dumps({"data": [{"name": "X", "license": "CC0"}]})})
    assert grow.main(["--weights", str(tmp_path / "lw.safetensors"), "--to", str(tmp_path / "elf.safetensors")]) == 0
    assert origin_of(tmp_path / "elf.safetensors") == {
        "text": "was grown, wider and twice as deep, from the derain `elf-lw` of 6,059 steps", "data": [{"name": "X", "license": "CC0"}]}


def test_refuses_other_weights(tmp_path, capsys):
    other = write(create_elf("elf"), tmp_path / "elf.safetensors")
    assert grow.main(["--weights", other, "--to", str(tmp_path / "x.safetensors")]) == 2
    assert "does not hold weights of preset 'elf-lw'" in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()
