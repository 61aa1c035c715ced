import pytest
import torch

from bitscape.evaluation import generate


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class Killed(BaseException):
    """Stands for a signal: nothing in the library may catch it."""


def killed_after(images: int):
    def report(stage: str, done: int, total: int) -> None:
        if done >= images:
            raise Killed

    return report


def test_images_equal_direct_sampling(family, tmp_path) -> None:
    labels = [0, 1, 2, 0, 1]
    run = generate(family(), labels, seed=3, out=tmp_path, shard=2)
    images = torch.cat([shard.images for shard in run.shards()])
    assert torch.equal(images, family().sample(labels, seed=3, batch=2))
    assert [len(shard.labels) for shard in run.shards()] == [2, 2, 1]
    assert len(run) == 5


@pytest.mark.parametrize("images", [2, 4])
def test_killed_run_continues_to_the_same_bytes(family, tmp_path, images: int) -> None:
    labels = [0, 1, 2, 0, 1]
    generate(family(), labels, seed=0, out=tmp_path / "undisturbed", shard=2)
    with pytest.raises(Killed):
        generate(
            family(), labels, seed=0, out=tmp_path / "killed", shard=2, report=killed_after(images)
        )
    kept = contents(tmp_path / "killed")
    assert len(kept) < 4
    generate(family(), labels, seed=0, out=tmp_path / "killed", shard=2)
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


def test_finished_shards_are_not_made_again(discrete, tmp_path, monkeypatch) -> None:
    pipeline = discrete()
    generate(pipeline, [0, 1, 2], seed=0, out=tmp_path, shard=2)
    monkeypatch.setattr(type(pipeline), "latents", None)
    assert len(generate(pipeline, [0, 1, 2], seed=0, out=tmp_path, shard=2)) == 3


def test_a_larger_run_reuses_the_full_shards_of_a_smaller_one(family, tmp_path) -> None:
    generate(family(), [0, 1, 2], seed=0, out=tmp_path / "grown", shard=2)
    run = generate(family(), [0, 1, 2, 0], seed=0, out=tmp_path / "grown", shard=2)
    fresh = generate(family(), [0, 1, 2, 0], seed=0, out=tmp_path / "fresh", shard=2)
    for grown, direct in zip(run.shards(), fresh.shards(), strict=True):
        assert torch.equal(grown.images, direct.images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "different seed"),
        ({"labels": [2, 2, 2]}, "other classes"),
        ({"noise": 0.5}, "different fingerprint"),
    ],
    ids=["seed", "labels", "model"],
)
def test_a_folder_of_another_run_is_refused(discrete, tmp_path, change, message) -> None:
    generate(discrete(), [0, 1, 2], seed=0, out=tmp_path, shard=2)
    options = {"seed": 0, "labels": [0, 1, 2], "noise": 0.0} | change
    with pytest.raises(ValueError, match=message):
        generate(
            discrete(options["noise"]),
            options["labels"],
            seed=options["seed"],
            out=tmp_path,
            shard=2,
        )


def test_a_damaged_shard_is_named(discrete, tmp_path) -> None:
    generate(discrete(), [0, 1], seed=0, out=tmp_path, shard=2)
    path = tmp_path / "000000-000002.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"000002.safetensors is damaged .* delete it"):
        generate(discrete(), [0, 1], seed=0, out=tmp_path, shard=2)
