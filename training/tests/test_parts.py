"""Gradients of a step in parts, by threads of their own."""

import pytest
import torch

from training.data import Batch
from training.losses import restoration_loss
from training.model import create_elf
from training.parts import Parts, cut


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def batch(pictures: int, side: int = 32) -> Batch:
    given = torch.Generator().manual_seed(pictures)
    return Batch(*(torch.rand(pictures, 3, side, side, generator=given) for _ in range(2)))


def gradients(count: int, batches: list[Batch]) -> tuple[float, list[torch.Tensor]]:
    torch.manual_seed(0)
    model = create_elf("elf", 16)  # has parameters that it never applies
    params = list(model.parameters())

    def loss_of(b: Batch) -> torch.Tensor:
        output, background = model(b.degraded)
        return restoration_loss(output, background, b.clean, 0.4, False)

    loss = Parts(params, count).backward(batches, loss_of)
    assert torch.get_num_threads() == count
    return loss, [p.grad for p in params]


@pytest.mark.parametrize("count", [2, 4, 8, 6])
@pytest.mark.parametrize("sizes", [(4,), (2,), (1, 1), (3,), (1,)])
def test_parts_give_the_gradients_of_the_whole(threads, count, sizes):
    batches = [batch(n) for n in sizes]
    loss, grads = gradients(1, batches)
    again, parts = gradients(count, batches)
    assert again == pytest.approx(loss, rel=1e-5)
    for a, b in zip(grads, parts, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-6 + 1e-4 * a.abs().max().item())


def test_a_step_in_parts_is_the_same_every_time(threads):
    results = [gradients(2, [batch(4)]) for _ in range(3)]
    for loss, grads in results[1:]:
        assert loss == results[0][0]
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(grads, results[0][1], strict=True))


def test_every_picture_has_one_place_and_shares_make_one():
    for sizes in [(4,), (2,), (1, 1), (3,), (5, 2)]:
        for parts in (1, 2, 4):
            pieces = [piece for some in cut([batch(n) for n in sizes], parts) for piece in some]
            assert sum(share for _, share in pieces) == pytest.approx(1)
            seen = torch.cat([b.clean for b, _ in pieces]).flatten(1).sum(1).sort().values
            torch.testing.assert_close(seen, torch.cat([batch(n).clean for n in sizes]).flatten(1).sum(1).sort().values)


def test_what_fails_in_a_part_fails_the_step(threads):
    def fail(b: Batch) -> torch.Tensor:
        raise ValueError("in every part")

    with pytest.raises(ValueError, match="in every part"):
        Parts([torch.zeros(1, requires_grad=True)], 2).backward([batch(2)], fail)
    assert torch.get_num_threads() == 2
