"""A step's pictures in parts, each forward and back by a thread of its own.

Threads within every operation wait for each other some thousand times a step; parts wait once. A part keeps its
gradients to itself until all are done; they are then added in order, so that no step depends on which thread was faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from training.data import Batch


def cut(batches: Sequence[Batch], parts: int) -> list[list[tuple[Batch, float]]]:
    """The batches' pictures in `parts` lists of pieces, each piece with its share of all pictures."""
    total = sum(len(b.clean) for b in batches)
    each = max(1, total // (parts * len(batches)))
    pieces = [Batch(*(t[i : i + each] for t in b)) for b in batches for i in range(0, len(b.clean), each)]
    return [[(piece, len(piece.clean) / total) for piece in pieces[i::parts]] for i in range(parts)]


class Parts:
    """Gradients with `threads` threads: in up to `max_parts` parts, and what threads are left within each part's operations."""

    def __init__(self, params: list[Tensor], threads: int, max_parts: int = 4):
        self.params, self.threads = params, threads
        self.choices = [p for p in (4, 2, 1) if p <= max_parts and threads % p == 0]
        self.pool = ThreadPoolExecutor(self.choices[0] - 1) if self.choices[0] > 1 else None

    def backward(self, batches: Sequence[Batch], loss_of: Callable[[Batch], Tensor]) -> float:
        """Sets the gradients of the mean of `loss_of` over the batches' pictures, and returns that mean."""
        pictures = sum(len(b.clean) for b in batches)
        parts = next(p for p in self.choices if p <= pictures)
        first, *rest = cut(batches, parts)
        try:
            others = [self.pool.submit(self.part, pieces, loss_of, self.threads // parts) for pieces in rest]
            total, sums = self.part(first, loss_of, self.threads // parts)
            for other in others:
                more, grads = other.result()
                total += more
                add(sums, grads)
        finally:
            torch.set_num_threads(self.threads)
        for p, grad in zip(self.params, sums, strict=True):
            p.grad = grad
        return total

    def part(self, pieces: list[tuple[Batch, float]], loss_of: Callable[[Batch], Tensor], threads: int) -> tuple[float, list[Tensor | None]]:
        torch.set_num_threads(threads)
        total, sums = 0.0, None
        for batch, share in pieces:
            loss = loss_of(batch) * share
            total += loss.item()
            grads = list(torch.autograd.grad(loss, self.params, allow_unused=True))
            if sums is None:
                sums = grads
            else:
                add(sums, grads)
        return total, sums


def add(sums: list[Tensor | None], grads: list[Tensor | None]) -> None:
    """Adds in place; both have None for a parameter that the network never applies."""
    torch._foreach_add_([s for s in sums if s is not None], [g for g in grads if g is not None])
