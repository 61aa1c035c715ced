"""Rates of training as the settings of methods name them: absolute, beside that of the weights."""

from typing import Protocol, runtime_checkable

from bitscape.passes import Training


@runtime_checkable
class Rates(Protocol):
    """The settings of a method that trains what is rounded."""

    @property
    def steps(self) -> int:
        """How many steps."""
        ...

    @property
    def batch(self) -> int:
        """Images a step."""
        ...

    @property
    def rate(self) -> float:
        """That of weights or of their corrections."""
        ...

    @property
    def scale_rate(self) -> float | None:
        """That of the logarithms of weight scales; None for that of the weights."""
        ...

    @property
    def range_rate(self) -> float | None:
        """That of static ranges relative to their size; None for that of the weights."""
        ...


def training_of_sites(rates: Rates, rest_rate: float | None = 0.0) -> Training:
    """Training of weights, their scales and static ranges.

    All other parameters stay, or with a `rest_rate` move as well, None for that of the weights.
    """
    return Training(
        steps=rates.steps,
        batch=rates.batch,
        rate=rates.rate,
        scales=multiple(rates.scale_rate, rates.rate),
        ranges=multiple(rates.range_rate, rates.rate),
        rest=multiple(rest_rate, rates.rate),
    )


def multiple(own: float | None, rate: float) -> float:
    """`own` in units of `rate`, as `passes.Training` takes it; 1 where none is given.

    ValueError for a `rate` that is not positive.
    """
    if rate <= 0:
        raise ValueError(f"weights need a positive rate, got {rate}")
    return 1.0 if own is None else own / rate
