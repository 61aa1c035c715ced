"""Losses between two distributions over codes: identities, limits and the toy of the paper."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bitscape.algorithms.divergences import (
    divergences,
    forward_kl,
    head_size,
    jensen_shannon,
    reverse_kl,
    topkld,
)

CODES = 12
NAMES = sorted(divergences(4))
PROPER = [name for name in NAMES if name != "topkld-paper"]


def logits(seed: int, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(5, 7, CODES, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_is_one_finite_number_a_token_also_for_hard_logits(name: str) -> None:
    student, teacher = (logits(seed, 1e3).float().requires_grad_() for seed in (0, 1))
    losses = divergences(4)[name](student, teacher.detach())
    assert losses.shape == (5, 7)
    losses.sum().backward()
    assert student.grad is not None
    assert losses.isfinite().all()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("name", PROPER)
def test_a_divergence_is_positive_and_vanishes_with_its_gradient_at_the_teacher(name: str) -> None:
    loss = divergences(4)[name]
    assert (loss(logits(0), logits(1)) > 0).all()
    same = logits(1).requires_grad_()
    at_teacher = loss(same, logits(1))
    at_teacher.sum().backward()
    assert at_teacher.abs().max() < 1e-12
    assert same.grad is not None
    assert same.grad.abs().max() < 1e-12


def test_the_printed_loss_drains_the_head_at_the_teacher_and_falls_below_zero() -> None:
    teacher = logits(1)
    student = teacher.clone().requires_grad_()
    topkld(student, teacher, k=4, variant="paper").sum().backward()
    assert student.grad is not None
    head = teacher.topk(4, dim=-1).indices
    assert (student.grad.gather(-1, head).sum(dim=-1) > 0).all()
    drained = teacher.scatter_add(-1, head, torch.full_like(teacher[..., :4], -0.2))
    assert (topkld(drained, teacher, k=4, variant="paper") < 0).all()
    assert (topkld(drained, teacher, k=4) > 0).all()


@pytest.mark.parametrize("k", [0, 1, 4, CODES])
def test_the_correction_is_twice_the_mass_missing_from_the_head(k: int) -> None:
    student, teacher = logits(0), logits(1)
    head = teacher.topk(k, dim=-1).indices
    missing = teacher.softmax(-1).gather(-1, head).sum(-1) - student.softmax(-1).gather(
        -1, head
    ).sum(-1)
    expected = topkld(student, teacher, k=k, variant="paper") + 2 * missing
    torch.testing.assert_close(topkld(student, teacher, k=k), expected)


def test_the_chained_loss_is_that_of_masses_and_of_shapes_inside_them() -> None:
    student, teacher = logits(0), logits(1)
    head = torch.zeros_like(teacher).scatter_(-1, teacher.topk(4, dim=-1).indices, 1.0)
    q, p = student.softmax(-1), teacher.softmax(-1)
    s, t = ((each * head).sum(-1, keepdim=True) for each in (q, p))

    def relative(a: Tensor, b: Tensor) -> Tensor:
        return torch.special.xlogy(a, a / b.clamp_min(1e-300)).sum(-1)

    masses = relative(torch.cat([t, 1 - t], -1), torch.cat([s, 1 - s], -1))
    inside = relative(q * head / s, p * head / t)
    outside = relative(p * (1 - head) / (1 - t), q * (1 - head) / (1 - s))
    expected = masses + t[..., 0] * inside + (1 - t[..., 0]) * outside
    torch.testing.assert_close(topkld(student, teacher, k=4, variant="chained"), expected)


def test_only_the_chained_loss_goes_on_growing_where_all_mass_leaks_out_of_the_head() -> None:
    teacher = logits(1)
    head = torch.zeros_like(teacher).scatter_(-1, teacher.topk(4, dim=-1).indices, 1.0)
    near, far = (teacher - shift * head for shift in (40.0, 80.0))
    corrected = [topkld(each, teacher, k=4) for each in (near, far)]
    torch.testing.assert_close(*corrected)
    chained = [topkld(each, teacher, k=4, variant="chained") for each in (near, far)]
    # Every nat that the head lacks costs the teacher's mass in it: once for the mass, and no more.
    mass = (teacher.softmax(-1) * head).sum(-1)
    torch.testing.assert_close(chained[1] - chained[0], 40.0 * mass)


@pytest.mark.parametrize("variant", ["corrected", "paper", "chained"])
def test_no_head_is_forward_kl_and_a_whole_head_reverse_kl(variant: str) -> None:
    student, teacher = logits(0), logits(1)
    torch.testing.assert_close(
        topkld(student, teacher, k=0, variant=variant), forward_kl(student, teacher)
    )
    for k in (CODES, CODES + 5):
        torch.testing.assert_close(
            topkld(student, teacher, k=k, variant=variant), reverse_kl(student, teacher)
        )


def test_kl_agrees_with_torch() -> None:
    student, teacher = logits(0), logits(1)
    q, p = student.log_softmax(-1), teacher.log_softmax(-1)
    expected = functional.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(forward_kl(student, teacher), expected)


def test_jensen_shannon_is_symmetric_and_bounded_by_log_two() -> None:
    student, teacher = logits(0, 50.0), logits(1, 50.0)
    torch.testing.assert_close(jensen_shannon(student, teacher), jensen_shannon(teacher, student))
    assert jensen_shannon(student, teacher).max() <= torch.tensor(2.0).log() + 1e-9


def test_ties_at_the_edge_of_the_head_go_to_the_lower_index() -> None:
    teacher = torch.zeros(1, CODES)
    student = torch.arange(CODES, dtype=torch.float32)[None]
    q, p = student.softmax(-1), teacher.softmax(-1)
    ratio = (q / p).log()
    expected = (q * ratio - q + p)[:, :3].sum(-1) + (-p * ratio - p + q)[:, 3:].sum(-1)
    torch.testing.assert_close(topkld(student, teacher, k=3), expected)


def test_the_head_is_the_samplers_top_k_or_a_share_of_the_codes() -> None:
    assert head_size(4096, 900) == 900
    assert head_size(512, 900) == 512
    assert head_size(4096) == 600
    assert head_size(512) == 75


def test_a_negative_head_is_refused() -> None:
    with pytest.raises(ValueError, match="got -1"):
        topkld(logits(0), logits(1), k=-1)
