"""Rates of training as the settings of methods name them: absolute, beside that of the weights."""


def multiple(own: float | None, rate: float) -> float:
    """`own` in units of `rate`, as `passes.Training` takes it; 1 where none is given.

    ValueError for a `rate` that is not positive.
    """
    if rate <= 0:
        raise ValueError(f"weights need a positive rate, got {rate}")
    return 1.0 if own is None else own / rate
