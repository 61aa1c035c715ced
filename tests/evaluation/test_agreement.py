import pytest
import torch

from bitscape.evaluation import agreement, balanced_labels

LABELS = balanced_labels(60, 3)


def test_a_model_agrees_with_itself(discrete) -> None:
    found = agreement(discrete(), discrete(), LABELS)
    assert found == (0.0, 1.0, 60 * 4)


def test_disturbance_lowers_agreement_and_raises_kl(discrete) -> None:
    near, far = (agreement(discrete(noise), discrete(), LABELS) for noise in (0.05, 1.0))
    assert 0 < near.kl < far.kl
    assert 1 >= near.token_agreement > far.token_agreement


def test_batches_do_not_matter(discrete) -> None:
    whole = agreement(discrete(0.5), discrete(), LABELS, batch=60)
    parts = agreement(discrete(0.5), discrete(), LABELS, batch=7)
    assert parts == pytest.approx(whole)


def test_kl_is_the_expected_one_on_the_sampled_prefixes(discrete) -> None:
    ours, theirs = discrete(0.5), discrete()
    calls = []
    with torch.no_grad():
        theirs.latents(LABELS, seed=4, tap=lambda call, output: calls.append(call.args[0]))
        previous = torch.cat(calls, dim=1)
        p = theirs.network(previous).softmax(-1)
        q = ours.network(previous).softmax(-1)
    expected = (p * (p / q).log()).sum(-1).mean()
    assert agreement(ours, theirs, LABELS, seed=4).kl == pytest.approx(float(expected), rel=1e-5)


def test_agreement_lies_between_the_bounds_of_total_variation(discrete) -> None:
    """Gumbel coupling agrees with probability between (1 - d) / (1 + d) and 1 - d."""
    ours, theirs = discrete(0.5), discrete()
    labels = balanced_labels(1500, 3)
    calls = []
    with torch.no_grad():
        theirs.latents(labels, seed=0, tap=lambda call, output: calls.append(call.args[0]))
        previous = torch.cat(calls, dim=1)
        p = theirs.network(previous).softmax(-1)
        q = ours.network(previous).softmax(-1)
    distance = (p - q).abs().sum(-1) / 2
    found = agreement(ours, theirs, labels, seed=0, batch=1500).token_agreement
    assert float(((1 - distance) / (1 + distance)).mean()) - 0.02 <= found
    assert found <= float((1 - distance).mean()) + 0.02
