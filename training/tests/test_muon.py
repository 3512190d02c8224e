import torch

from training.muon import Muon, is_matrix, orthogonalise


def test_orthogonalised_matrices_keep_their_vectors_and_lose_their_scale():
    x = torch.randn(3, 12, 40, generator=torch.Generator().manual_seed(1)) * torch.tensor([1e-4, 1.0, 1e4])[:, None, None]
    for y, given in ((orthogonalise(x), x), (orthogonalise(x.transpose(1, 2)).transpose(1, 2), x)):
        values = torch.linalg.svdvals(y)
        assert values.min() > 0.5 and values.max() < 1.3
        u, _, v = torch.linalg.svd(given, full_matrices=False)
        core = u.transpose(1, 2) @ y @ v.transpose(1, 2)  # diagonal where the singular vectors are the same
        assert (core - torch.diag_embed(core.diagonal(dim1=1, dim2=2))).abs().max() < 1e-3


def test_only_convolutions_that_mix_channels_are_matrices():
    assert is_matrix(torch.empty(32, 64, 1, 1)) and is_matrix(torch.empty(32, 32, 3, 3))
    assert not any(is_matrix(torch.empty(s)) for s in ((32,), (1, 1, 1), (96, 1, 3, 3), (32, 3, 3, 3), (3, 32, 3, 3)))


def test_steps_lower_a_least_squares_loss_whatever_its_scale():
    for scale in (1e-3, 1e3):
        torch.manual_seed(2)
        weight = torch.nn.Parameter(torch.zeros(8, 16, 1, 1))
        truth, x = torch.randn(8, 16), torch.randn(64, 16)
        muon, losses = Muon([weight]), []
        for _ in range(150):
            loss = scale * (x @ (weight[:, :, 0, 0] - truth).T).square().mean()
            losses.append(loss.item() / scale)
            loss.backward()
            muon.step(0.05)
        assert losses[-1] < 0.05 * losses[0]
