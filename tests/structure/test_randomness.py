"""Draws belong to an image, not to a batch."""

import torch

from bitscape.structure import Randomness


def test_an_image_draws_the_same_alone_and_in_a_batch() -> None:
    batch = Randomness(7, range(5))
    alone = Randomness(7, [3])
    for name, shape in (("normal", (2, 3)), ("gumbel", (4,))):
        together, single = getattr(batch, name)(*shape), getattr(alone, name)(*shape)
        torch.testing.assert_close(together[3], single[0], rtol=0, atol=0)
    assert batch.integers(1000)[3] == alone.integers(1000)[0]
    assert torch.equal(batch.integers(1000, 2)[3], alone.integers(1000, 2)[0])
    assert torch.equal(batch.permutations(9)[3], alone.permutations(9)[0])


def test_permutations_hold_each_number_once() -> None:
    drawn = Randomness(0, range(3)).permutations(20)
    assert torch.equal(drawn.sort(dim=1).values, torch.arange(20).expand(3, 20))
    assert not torch.equal(drawn[0], drawn[1])


def test_seeds_and_images_differ() -> None:
    draws = [Randomness(seed, [index]).normal(4) for seed in range(3) for index in range(3)]
    assert len({tuple(d.flatten().tolist()) for d in draws}) == 9


def test_gumbel_noise_samples_the_softmax() -> None:
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0])
    noise = Randomness(0, range(4000)).gumbel(4)
    counts = torch.bincount((logits + noise).argmax(dim=1), minlength=4) / 4000
    # Four standard errors of a proportion near one half.
    torch.testing.assert_close(counts, logits.softmax(0), rtol=0, atol=4 * 0.5 / 4000**0.5)


def test_gumbel_noise_is_that_of_torchs_exponential_numbers() -> None:
    ours, theirs = Randomness(3, range(4)), Randomness(3, range(4))
    for shape in ((1, 50), (16, 50)):
        rows = [torch.empty(shape).exponential_(generator=g) for g in theirs.generators]
        assert torch.equal(ours.gumbel(*shape), -torch.stack(rows).log())
