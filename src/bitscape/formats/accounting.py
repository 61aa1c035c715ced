"""What a scheme costs: nominal bits, and the bits that an artefact really writes."""

from collections.abc import Iterable
from dataclasses import dataclass

from bitscape.formats.codebook import Codebook
from bitscape.formats.floating import Float
from bitscape.formats.mixed import MixedInt
from bitscape.formats.packing import packed_trits, packed_words
from bitscape.formats.scheme import FULL_BITS, SiteScheme, TensorScheme
from bitscape.formats.ternary import Ternary

_WORD_BITS = 32
_SHAPE_BITS = 2 * 64
_CENTROID_BITS = 8


@dataclass(frozen=True)
class WeightCost:
    """The stored bits of one weight.

    `code_bits` counts packed codes with the padding of each row, `scale_bits` the scales (with the
    tensor-wide scale over them, and centroids under them), `other_bits` zero points and the stored
    shape. `format_bits` is the nominal width of one element.
    """

    elements: int
    code_bits: int
    scale_bits: int
    other_bits: int
    format_bits: float

    @property
    def nominal_bits(self) -> float:
        """Elements times the width of the format: no scales, no padding."""
        return self.elements * self.format_bits

    @property
    def total_bits(self) -> int:
        """Everything that is written."""
        return self.code_bits + self.scale_bits + self.other_bits

    @property
    def total_bytes(self) -> int:
        """Bytes written; every tensor is a whole number of bytes."""
        return self.total_bits // 8


def tensor_cost(shape: tuple[int, int], scheme: TensorScheme | None) -> WeightCost:
    """The cost of a weight of `shape` (out, in) written by `scheme`; None writes 16 bits.

    Codes are packed row by row (`pack`, or five trits a byte), scales are `scheme.scale_bits` each,
    zero points are packed at the width of the format down the rows of each group. A codebook adds 8
    bits for each number of its centroids, rows of mixed width two bits each to tell their width.
    """
    rows, columns = shape
    elements = rows * columns
    if scheme is None:
        return WeightCost(elements, elements * FULL_BITS, 0, 0, FULL_BITS)
    if isinstance(scheme.format, Codebook):
        return _codebook_cost(shape, scheme, scheme.format)
    if isinstance(scheme.format, MixedInt):
        return _mixed_cost(shape, scheme, scheme.format)
    groups = len(scheme.granularity.runs(columns))
    scales = 1 if scheme.granularity.kind == "tensor" else rows * groups
    wide = 32 if isinstance(scheme.scale_format, Float) else 0
    zeros = 0 if scheme.symmetric else _zero_bits(scales // groups, groups, scheme)
    return WeightCost(
        elements=elements,
        code_bits=_row_bits(columns, scheme) * rows,
        scale_bits=scales * scheme.scale_bits + wide,
        other_bits=zeros + _SHAPE_BITS,
        format_bits=scheme.format.bits,
    )


def model_bits(costs: Iterable[WeightCost], others: Iterable[tuple[int, int]] = ()) -> float:
    """Nominal bits of a whole model: quantized weights, and (elements, bits) of everything else."""
    return sum(c.nominal_bits for c in costs) + sum(count * bits for count, bits in others)


def compute_bits(sites: Iterable[tuple[int, SiteScheme]]) -> float:
    """Sum over (weights, scheme) of weights b_w b_a: multiplications weighted by their widths."""
    return sum(count * site.weight_bits * site.activation_bits for count, site in sites)


def _codebook_cost(shape: tuple[int, int], scheme: TensorScheme, fmt: Codebook) -> WeightCost:
    assert scheme.granularity.size is not None
    rows, columns = shape
    tall, wide = fmt.tile(shape, scheme.granularity.size)
    tiles = -(-rows // tall) * (columns // wide)
    return WeightCost(
        elements=rows * columns,
        code_bits=packed_words(columns // fmt.dim, fmt.code_bits) * _WORD_BITS * rows,
        scale_bits=tiles * (fmt.entries * fmt.dim * _CENTROID_BITS + scheme.scale_bits),
        other_bits=_SHAPE_BITS,
        format_bits=fmt.bits,
    )


def _mixed_cost(shape: tuple[int, int], scheme: TensorScheme, fmt: MixedInt) -> WeightCost:
    rows, columns = shape
    # Before the widths are chosen, every row is reckoned at the base.
    widths = fmt.widths or (fmt.base,) * rows
    words = sum(packed_words(columns, width) for width in widths)
    return WeightCost(
        elements=rows * columns,
        code_bits=words * _WORD_BITS,
        scale_bits=rows * len(scheme.granularity.runs(columns)) * scheme.scale_bits,
        other_bits=packed_words(rows, 2) * _WORD_BITS + _SHAPE_BITS,
        format_bits=fmt.bits,
    )


def _row_bits(columns: int, scheme: TensorScheme) -> int:
    if isinstance(scheme.format, Ternary):
        return packed_trits(columns) * 8
    return packed_words(columns, scheme.format.code_bits) * _WORD_BITS


def _zero_bits(rows: int, groups: int, scheme: TensorScheme) -> int:
    return groups * packed_words(rows, scheme.format.code_bits) * _WORD_BITS
