import json

import pytest

from bitscape.evaluation import Settings, evaluate

SMALL = Settings(n=20, seeds=(0, 1), losses=12, paths=6, shard=8)
PAIRED = ("psnr", "ssim", "identical_images", "token_agreement", "kl")


class Killed(BaseException):
    """Stands for a signal: nothing in the library may catch it."""


def test_every_number_carries_count_noise_and_full_precision(family, protocol) -> None:
    result = evaluate(family(0.3), family(), protocol=protocol, settings=SMALL)
    for key in ("fd_shapes", "fd_latent", "class_accuracy", "precision", "recall"):
        assert set(result[key]) == {"mean", "std", "n", "values", "difference"}
        assert result[key]["n"] == 20
        assert len(result[key]["values"]) == 2
        difference = result[key]["mean"] - result["full_precision"][key]["mean"]
        assert result[key]["difference"]["mean"] == pytest.approx(difference)
    loss = result["nll" if family(0).adapter.discrete else "denoising_loss"]
    assert loss["n"] == 12
    assert set(loss["difference"]) == {"mean", "standard_error"}
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_continuous_families_have_no_tokens(continuous, discrete, protocol) -> None:
    smooth = evaluate(continuous(0.3), continuous(), protocol=protocol, settings=SMALL)
    tokens = evaluate(discrete(0.3), discrete(), protocol=protocol, settings=SMALL)
    assert smooth["kl"] is None
    assert smooth["token_agreement"] is None
    assert tokens["kl"]["mean"] > 0
    assert tokens["kl"]["n"] == 6 * 4


def test_full_precision_against_itself_loses_nothing(family, protocol, tmp_path) -> None:
    result = evaluate(family(), family(), protocol=protocol, settings=SMALL, workspace=tmp_path)
    assert result["fd_shapes"]["difference"] == {"mean": 0.0, "std": 0.0}
    assert result["psnr"]["mean"] is None
    assert result["identical_images"]["mean"] == 1.0
    assert len([path for path in tmp_path.iterdir() if path.name != "reference"]) == 1


def test_without_full_precision_the_comparisons_are_null(family, protocol) -> None:
    result = evaluate(family(), None, protocol=protocol, settings=SMALL)
    assert all(result[key] is None for key in PAIRED)
    assert "difference" not in result["fd_shapes"]
    assert result["full_precision"]["fd_shapes"] == result["fd_shapes"]


def test_killed_at_any_report_it_finishes_with_the_same_numbers(family, protocol, tmp_path) -> None:
    reports = []
    undisturbed = evaluate(
        family(0.3),
        family(),
        protocol=protocol,
        settings=SMALL,
        report=lambda *event: reports.append(event),
    )
    for moment in range(0, len(reports), 5):
        left = iter(range(moment))

        def report(stage: str, done: int, total: int, left=left) -> None:
            if next(left, None) is None:
                raise Killed

        with pytest.raises(Killed):
            evaluate(
                family(0.3),
                family(),
                protocol=protocol,
                settings=SMALL,
                workspace=tmp_path / str(moment),
                report=report,
            )
        again = evaluate(
            family(0.3),
            family(),
            protocol=protocol,
            settings=SMALL,
            workspace=tmp_path / str(moment),
        )
        assert again == undisturbed


def test_models_of_different_families_are_refused(discrete, continuous, protocol) -> None:
    with pytest.raises(ValueError, match="different families"):
        evaluate(discrete(), continuous(), protocol=protocol, settings=SMALL)


def test_models_with_different_tokenizers_are_refused(discrete, protocol) -> None:
    other = discrete()
    other.tokenizer.codes += 1
    with pytest.raises(ValueError, match="different tokenizers"):
        evaluate(discrete(), other, protocol=protocol, settings=SMALL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 3}, "n = 3"),
        ({"shard": 0}, "shard = 0"),
        ({"seeds": ()}, r"seeds = \(\)"),
        ({"seeds": (1, 1)}, "each once"),
        ({"seeds": (-1,)}, "none below zero"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**settings)
