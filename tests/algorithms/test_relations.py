"""Relations: a divergence with a live gradient, whatever number of rows is held at a time."""

import pytest
import torch
from torch.nn import functional

from bitscape.algorithms.relations import as_tokens, relation_loss


def maps(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(shape, generator=generator)
    return (teacher + 0.3 * torch.randn(shape, generator=generator)).requires_grad_(), teacher


@pytest.mark.parametrize("itself", [True, False])
def test_equals_the_divergence_of_whole_matrices(itself: bool) -> None:
    student, teacher = maps(3, 10, 4)
    hidden = torch.zeros(10, 10).fill_diagonal_(0.0 if itself else -1e9)
    q, p = (
        (functional.cosine_similarity(x[:, :, None], x[:, None], dim=3) / 0.5 + hidden).log_softmax(
            2
        )
        for x in (student, teacher)
    )
    whole = functional.kl_div(q, p, log_target=True, reduction="sum") / 30
    chunked = relation_loss(student, teacher, temperature=0.5, itself=itself, rows=4)
    torch.testing.assert_close(chunked, whole)
    expected, found = (torch.autograd.grad(loss, student)[0] for loss in (whole, chunked))
    torch.testing.assert_close(found, expected)
    assert bool(found.any())


def test_is_zero_for_equal_relations_and_only_then() -> None:
    student, teacher = maps(2, 9, 5)
    # Neither the size of a feature nor a rotation of all of them is a relation.
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1)))[0]
    assert relation_loss(3 * teacher @ turn, teacher).item() == pytest.approx(0, abs=1e-6)
    assert relation_loss(student, teacher).item() > 1e-3


def test_holds_no_matrix_of_all_positions() -> None:
    student, teacher = maps(1, 64, 3)
    sizes: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        relation_loss(student, teacher, rows=8)
    assert max(sizes) < 64 * 64


def test_positions_of_a_map_are_tokens() -> None:
    x = torch.arange(24.0).view(1, 2, 3, 4)
    assert as_tokens(x).shape == (1, 12, 2)
    assert as_tokens(x)[0, 5].tolist() == [5.0, 17.0]


def test_a_single_position_has_no_relations() -> None:
    with pytest.raises(ValueError, match="got 1"):
        relation_loss(torch.ones(1, 1, 4), torch.ones(1, 1, 4))
