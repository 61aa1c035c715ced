import pytest

from bitscape.reports.benchmark.results import results
from bitscape.reports.benchmark.tables import page, with_error


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (0.03124, 0.00112, "0.0312 +- 0.0011"),
        (140.51, 9.04, "140.5 +- 9.0"),
        (767.4, 39.2, "767 +- 39"),
        (2.0, 0.0, "2.000 +- 0.000"),
    ],
)
def test_errors_have_two_digits(mean: float, error: float, text: str) -> None:
    assert with_error(mean, error) == text


def test_recipes_of_a_scheme_stand_together_and_the_best_is_bold(record) -> None:
    records = [record("full-precision", 0.0)]
    for name, scheme, rise in (
        ("rtn-w4a16", "W4A16", 0.4),
        ("rtn-w8a8", "W8A8", 0.02),
        ("gptq-w4a16", "W4A16", 0.1),
        ("own-w8a8.yaml", "W8A8", 0.1),
    ):
        records += [record(name, rise + 0.001 * s, seed=s, scheme=scheme) for s in range(3)]
    text = page(results(records), {})
    table = text.split("\n\n")[1].splitlines()
    names = [line.split("|")[1].strip() for line in table[2:]]
    assert names == ["full precision", "gptq-w4a16", "rtn-w4a16", "own-w8a8", "rtn-w8a8"]
    assert [line for line in table if "**" in line] == [table[3], table[6]]
    assert "**0.101 +- 0.010**" in table[3]
    assert "3 calibration seeds" in text and "FD-shapes" not in text


def test_one_seed_decides_nothing(record) -> None:
    text = page(results([record("rtn-w4a16", 0.4), record("gptq-w4a16", 0.1)]), {})
    assert "**" not in text and "one calibration seed" in text


def test_distances_have_a_table_where_they_were_measured(record) -> None:
    text = page(results([record("rtn-w4a16", 0.4, n=2000, distance=91.25)]), {})
    assert "FD-shapes, 2,000 images of one seed" in text and "| rtn-w4a16 | 91.2 |" in text
    text = page(results([record("rtn-w4a16", 0.4, n=2000, draws=3)]), {})
    assert "FD-shapes, 2,000 images in 3 draws of one seed" in text


def test_losses_of_two_kinds_have_tables_of_their_own(record) -> None:
    other = record("rtn-w4a16", 0.5, model="zoo:dit-s", loss="denoising_loss")
    text = page(results([record("rtn-w4a16", 0.4), other]), {})
    assert "nats a token" in text and "percent" in text
    assert "| rtn-w4a16 | 0.400 +- 0.010 |" in text and "| rtn-w4a16 | 25.00 +- 0.50 |" in text


def test_agreement_has_a_table_where_there_are_tokens(record) -> None:
    full = record("full-precision", 0.0)
    text = page(results([full, record("rtn-w4a16", 0.4, agreement=(0.725, 0.18389))]), {})
    assert "prefixes of 32 sampled images a seed" in text and "| rtn-w4a16 | 72.5%, 0.184 |" in text
    assert "prefixes" not in page(results([record("rtn-w4a16", 0.4)]), {})


def test_errors_stand_behind_distances_and_agreement_of_several_seeds(record) -> None:
    runs = [
        record("rtn-w4a16", 0.4, seed=i, n=2000, distance=80 + 3 * i, agreement=(0.5, 0.2 + i / 10))
        for i in range(3)
    ]
    text = page(results(runs), {})
    assert "FD-shapes, 2,000 images of 3 seeds and the scatter of their mean." in text
    assert "| rtn-w4a16 | 83.0 +- 1.7 |" in text
    assert "| rtn-w4a16 | 50.0%, 0.300 +- 0.058 |" in text


def test_what_failed_is_told_behind_the_tables(record) -> None:
    failed = {("zoo:var-s", "topkld-w3a16:loss=printed", "distillation stopped"): [2, 0]}
    text = page(results([record("rtn-w4a16", 0.4)]), failed)
    assert text.endswith(
        "Runs without a result:\n\n"
        "- topkld-w3a16:loss=printed on var-s, seeds 0, 2: distillation stopped\n"
    )


def test_distances_of_three_seeds_are_decided_like_losses(record) -> None:
    records = [record("full-precision", 0.0, n=1000, distance=70.0)]
    for name, distances in (("rtn", (95, 93, 97)), ("gptq", (80, 84, 82)), ("awq", (81, 84, 81))):
        records += [
            record(f"{name}-w4a16", 0.1, seed=seed, n=1000, distance=value)
            for seed, value in enumerate(distances)
        ]
    table = page(results(records), {}).split("FD-shapes")[1].split("\n\n")[1].splitlines()
    assert [line.split("|")[1].strip() for line in table if "**" in line] == [
        "awq-w4a16",
        "gptq-w4a16",
    ]


def test_what_all_options_share_is_told_once(record) -> None:
    names = [f"topkld-w3a16:loss={loss},data=shapes" for loss in ("data", "topkld")]
    text = page(results([record(name, 0.1, scheme="W3A16") for name in names]), {})
    assert text.startswith("All recipes with options were run with data=shapes.\n")
    assert "| topkld-w3a16:loss=topkld | 0.100 +- 0.010 |" in text
    assert text.count("data=shapes") == 1
