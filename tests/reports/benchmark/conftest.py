"""Records as a sweep writes them, of given rises."""

from collections.abc import Callable

import pytest

from bitscape.laws import Bits, Quality, RunRecord

Maker = Callable[..., RunRecord]


@pytest.fixture
def record() -> Maker:
    """A function that makes the record of a rise over a full precision of 2."""

    def made(
        recipe: str,
        rise: float,
        *,
        seed: int = 0,
        model: str = "zoo:var-s",
        error: float = 0.01,
        n: int = 64,
        losses: int = 500,
        distance: float = 80.0,
        loss: str = "nll",
        agreement: tuple[float, float] | None = None,
        scheme: str = "W4A16",
        draws: int = 1,
    ) -> RunRecord:
        full = recipe == "full-precision"
        value = {"mean": 2.0 + rise, "standard_error": 0.1, "n": losses}
        if not full:
            value["difference"] = {"mean": rise, "standard_error": error}
        metrics = {loss: value, "fd_shapes": {"mean": distance, "n": n}}
        if agreement is not None:
            share, kl = agreement
            metrics |= {"token_agreement": {"mean": share}, "kl": {"mean": kl}}
        return RunRecord(
            key=f"{model} {recipe} {seed} {n}",
            model=model,
            recipe=recipe,
            method="none" if full else recipe.split("-")[0],
            scheme="W16A16" if full else scheme,
            seed=seed,
            evaluation={"n": n, "seeds": list(range(draws)), "losses": losses, "paths": 32},
            status="done",
            bits=Bits(
                nominal_weight=4, actual_weight=4, nominal_model=4, actual_model=4, compute=4
            ),
            quality=Quality(protocol="shapes", n=n, seeds=(0,), metrics=metrics),
            seconds=2.0,
            quantize_seconds=1.5,
            peak_memory_bytes=500_000_000,
            version="0",
            commit=None,
            machine="toy",
            created="2026-01-01T00:00:00+00:00",
        )

    return made
