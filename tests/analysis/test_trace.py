import pytest
import torch

from bitscape.analysis.trace import Subject, distance, handed_on, lockstep, noise_at, run


def test_a_run_ends_in_the_latents_of_the_sampler(teacher: Subject) -> None:
    path = run(teacher)
    latents = teacher.pipeline.latents(teacher.labels, seed=teacher.seed)
    assert torch.equal(path.after(len(path) - 1), latents)
    assert torch.equal(handed_on(teacher, path.outputs), latents)


def test_lockstep_gives_both_the_teachers_inputs(teacher: Subject) -> None:
    path, pairs = run(teacher), list(lockstep(teacher, teacher))
    for index, pair in enumerate(pairs):
        assert torch.equal(pair.handed, path.handed[index])
        assert torch.equal(pair.output, path.outputs[index])
        assert torch.equal(pair.other, pair.output)


def test_a_known_path_changes_nothing_but_the_work(teacher: Subject) -> None:
    path = run(teacher)
    noise = {1: noise_at(teacher, 0.0, 1)}
    whole, short = run(teacher, noise), run(teacher, noise, path)
    assert all(map(torch.equal, whole.handed, short.handed))
    assert not torch.equal(short.outputs[1], path.outputs[1])


def test_noise_has_the_ratio_asked_for(diffusion: Subject) -> None:
    output = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    added = noise_at(diffusion, 20.0, 0)(output) - output
    ratio = output.square().mean((1, 2, 3)) / added.square().mean((1, 2, 3))
    assert torch.allclose(ratio, torch.full((4,), 100.0), rtol=0.05)
    # Guidance combines the two rows of an image: the same noise in both passes unamplified.
    unit = added / output.flatten(1).square().mean(1).sqrt().view(-1, 1, 1, 1)
    assert torch.allclose(unit[:2], unit[2:], atol=1e-5)


def test_tokens_count_by_the_share_that_differs() -> None:
    ours, theirs = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[1, 2, 0, 0]])
    assert distance(ours, theirs).tolist() == [0.5]
    assert distance(torch.full((1, 4), 2.0), torch.full((1, 4), 3.0)).tolist() == pytest.approx(
        [0.5]
    )
