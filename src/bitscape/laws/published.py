"""The published results that ship with the package: facts, each row with source and protocol."""

from importlib.resources import files

from bitscape.laws.table import Row, read_csv

TABLE = "published.csv"


def published() -> list[Row]:
    """Every published number, in the order of the papers' tables.

    "Dissecting Bit-Level Scaling Laws in Quantizing Vision Generative Models", arXiv:2501.06218
    (FID; VAR by method and bits, other families at full precision), and "PTQ4ARVG: Post-Training
    Quantization for AutoRegressive Visual Generation Models", arXiv:2601.21238 (FID, IS, sFID and
    precision; VAR, RAR, PAR and MAR). What a paper prints twice with different numbers stands here
    twice, told apart by `table`.
    """
    text = files("bitscape.laws").joinpath(TABLE).read_text(encoding="utf-8")
    return read_csv(text.splitlines(), TABLE)
