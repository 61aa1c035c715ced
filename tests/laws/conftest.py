"""Tables drawn from known laws, and the study of the published results."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bitscape.laws import Axis, Row, Study, published, study

SIZES = (1e8, 3e8, 1e9, 3e9)
Table = Callable[..., list[Row]]


@pytest.fixture
def table() -> Table:
    """A function that draws the rows of one setting around Q = c + a (b_w N)^-alpha."""

    def rows(
        a: float = 4.0,
        alpha: float = 0.3,
        floor: float = 0.0,
        noise: float = 0.0,
        sizes: Sequence[float] = SIZES,
        seed: int = 0,
        **changes: object,
    ) -> list[Row]:
        fields: dict[str, object] = {
            "source": "here",
            "table": "",
            "family": "var",
            "series": "var",
            "method": "gptq",
            "w_bits": 4,
            "a_bits": 16,
            "metric": "fid",
            "protocol": "",
            "note": "",
            "actual_bits": None,
            **changes,
        }
        w_bits, a_bits = fields["w_bits"], fields["a_bits"]
        assert isinstance(w_bits, int) and isinstance(a_bits, int)
        fields.setdefault("scheme", f"W{w_bits}A{a_bits}")
        draws = np.random.default_rng(seed).normal(0, 1, len(sizes)) * noise
        found = []
        for size, draw in zip(sizes, draws, strict=True):
            bits = min(w_bits, 16) * size / 1e9
            found.append(
                Row(
                    model=f"var-{size:g}",
                    parameters=int(size),
                    value=float((floor + a * bits**-alpha) * np.exp(draw)),
                    model_bits=bits,
                    compute_bits=bits * min(a_bits, 16),
                    **fields,
                )
            )
        return found

    return rows


@pytest.fixture(scope="session")
def published_rows() -> list[Row]:
    """Every published result, read once."""
    return published()


@pytest.fixture(scope="session")
def studies(published_rows: list[Row]) -> dict[Axis, Study]:
    """The scaling study's own results at FID 2.5 on both axes."""
    rows = [row for row in published_rows if row.source == "arXiv:2501.06218"]
    axes: tuple[Axis, ...] = ("model-bits", "compute-bits")
    return {axis: study(rows, axis, at=2.5) for axis in axes}
