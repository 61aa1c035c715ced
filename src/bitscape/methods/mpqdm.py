"""MPQ-DM: bits that differ from row to row, and relations that survive them, for 2 to 4 bits.

Feng et al., "MPQ-DM: Mixed Precision Quantization for Extremely Low Bit Diffusion Models", AAAI
2025, arXiv:2412.11549. Equations after its public code: the paper numbers few of them.

    s_j = sqrt(max|X_j| / max|W_j|), an input channel    algorithms.smoothquant_scale, BalanceInputs
    kurtosis of a row mean((w - mu)^4) / sd^4            algorithms.row_bits.kurtosis
    bits n - 1, n, n + 1 a row, their mean n (OMQ)       passes.AssignBits, formats.MixedInt
    share of rows searched by the output's error         algorithms.row_bits.swap_by_kurtosis
    one range a sampling step                            passes.QuantizeActivations, "step"
    KL of time-smoothed relations (TRD)                  algorithms.relations, passes.Relations
    W + B A, rounded together, B A alone trained         passes.Distill, rank
    trained along the teacher's trajectory               passes.Distill, on recorded calls

`mpq-dm-faithful` takes the paper's choices: the scale everywhere, rows by kurtosis in tenths,
relations at temperature 1 with each position's similarity to itself, weight 100, corrections of
rank 32 tap by tap. `mpq-dm` trains the weights themselves unless it is given a `rank`, swaps bits
where the row that wins gains more than the other loses, by the errors that GPTQ leaves at steps it
has not read, rounds by GPTQ without a scale, and compares sharper relations. It weighs the error of
a prediction by what the sampler makes of it (`weigh`): errors where there is little noise are a
hundred times as large and move the picture least. `bits` "kurtosis" and "uniform" are there to
compare with: the latter moves no row, and differs in nothing else, with the widths stored as well.
`plus` gives a tenth of the rows one bit more and takes none away: 0.1 bits a weight. `balanced`
puts the paper's scale of inputs first, `itself` keeps each position's similarity to itself.

What is trained. The weights at sites of few bits or their corrections, the scales of their rows and
the static ranges of inputs; in `mpq-dm` also norms, biases, embeddings and layers of 16 bits, which
as published stay as they are (`rest_rate=0`). `scale_rate` (of the logarithms of scales),
`range_rate` (of ranges relative to their size) and `rest_rate` are absolute, and that of the
weights where they are not given. A step reads `batch` images, each at
`window` steps of its trajectory. What comes before the training reads as many trajectories, or with
`start_samples` the first so many: a block's outputs lie on disk for each of their states.

What stays wider. By the scheme's roles: the ends of a U-Net and its time embedding (`input`,
`output`, `time`) keep 16 bits, or 8 as published with `W2A4/input=W8A8/output=W8A8/time=W8A8`; the
projections of the time embedding (`ada`) have weights like the rest and 16-bit inputs; attention
products, norms, biases and the autoencoder 16 bits. The public code also leaves shortcuts,
downsampling and Conv1d layers at 32 bits; here they are rounded like all others. The report lists
every site; `inspect` gives both accounts, nominal bits of each weight and bytes written.

Deviations. Rows are symmetric, so that integer kernels need no zero point; a row of one bit is a
sign times a scale, where the code's affine row holds zero and one other value. Errors in the search
are those of both operands rounded, as in the paper; the code keeps activations in float, tries two
shares and clips in another way than in the model. Scales of inputs are found on the float network
and folded into norms where that is exact. The paper trains each correction at a rate of its layer's
step over 2,500, over 16,000 steps or more; here all have one rate, over hundreds. Zero points of
activations stay where they were calibrated. Both steps of a pair run in one batch and have
gradients; in the code neither has.

Cost. Two sweeps over the calibration calls, then `steps` of training, each a forward pass of the
teacher and a forward and backward pass of the student over two steps of the trajectory. Relations
take (batch, 512, positions) numbers at a time.

Use. For diffusion models at 2 to 4 bits. Without training (`steps=0`), on `zoo:dit-s` at
W2A4,static with 24 calibration trajectories, the denoising loss of 192 images (full precision
0.073) rose by 0.326 by GPTQ with uniform rows; paired with it, by 0.004 +- 0.006 less with swaps
and 0.013 +- 0.006 less with `plus`. On `zoo:unet-s` at W2A4,static, trained for 400 steps at a rate
of 3e-3, it rises by 160 % where training of the whole network leaves 248 % (`efficientdm`), and the
Fréchet distance of 2,000 pictures is 446 for 677 (full precision 182, one seed); bits by error have
2 % less of the rise than those by kurtosis there. docs/benchmark has its parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from bitscape.algorithms.row_bits import (
    Choice,
    keep_uniform,
    raise_by_error,
    raise_by_kurtosis,
    swap_by_error,
    swap_by_kurtosis,
)
from bitscape.methods.base import Method
from bitscape.methods.calibrations import MANY_STEPS
from bitscape.methods.rates import training_of_sites
from bitscape.passes import (
    AssignBits,
    BalanceInputs,
    Distill,
    Greedy,
    Index,
    JoinSteps,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    Relations,
)

SCHEMES = tuple(
    f"W{weight}A{activation},static"
    for weight, activation in ((8, 8), (6, 6), (4, 8), (4, 4), (3, 6), (3, 4), (2, 6), (2, 4))
)

CHOICES: dict[str, tuple[Choice, ...]] = {
    "error": (swap_by_error, raise_by_error),
    "kurtosis": (swap_by_kurtosis, raise_by_kurtosis),
    "uniform": (keep_uniform,),
}
"""How rows get their bits: the choice that swaps, and that of the "plus" variant."""


@dataclass(frozen=True)
class MPQDM(Method):
    """Bits of rows by error, GPTQ, then training with relations."""

    summary: ClassVar[str] = (
        "Bits row by row, then training with relations: for diffusion at 2 to 4 bits."
    )
    schemes: ClassVar[tuple[str, ...]] = SCHEMES
    calibration: ClassVar[Mapping[str, int]] = MANY_STEPS

    bits: str = "error"
    plus: bool = False
    steps: int = 400
    batch: int = 16
    rate: float = 1e-3
    relations: float = 4.0
    temperature: float = 0.2
    window: int = 2
    rank: int | None = None
    activation_range: str = "mse"
    activation_index: Index = "step"
    itself: bool = False
    balanced: bool = False
    scale_rate: float | None = None
    range_rate: float | None = None
    rest_rate: float | None = None
    weigh: bool = True
    start_samples: int | None = None

    def __post_init__(self) -> None:
        check_steps(self.steps)
        if self.bits not in CHOICES or (self.plus and self.bits == "uniform"):
            raise ValueError(
                f"bits are chosen by {' or '.join(CHOICES)}, the last without plus, got {self.bits}"
            )

    def passes(self) -> list[Pass]:
        """Bits, weights and activations; then training."""
        activations = QuantizeActivations(self.activation_range, self.activation_index)
        balance = [BalanceInputs((0.5,), activations=activations)] if self.balanced else []
        start: tuple[Pass, ...] = (
            *balance,
            AssignBits(CHOICES[self.bits][self.plus], Greedy(), activations),
            QuantizeWeights(Greedy()),
            activations,
        )
        objective = Relations(
            self.relations, self.temperature, itself=self.itself, weigh=self.weigh
        )
        return trained(start, objective, self, self.rest_rate)


@dataclass(frozen=True)
class FaithfulMPQDM(Method):
    """MPQ-DM with the paper's choices."""

    summary: ClassVar[str] = "MPQ-DM with the paper's choices, to compare with the paper."
    schemes: ClassVar[tuple[str, ...]] = SCHEMES
    calibration: ClassVar[Mapping[str, int]] = MANY_STEPS

    plus: bool = False
    steps: int = 400
    batch: int = 16
    rate: float = 1e-3
    window: int = 2
    rank: int | None = 32
    scale_rate: float | None = None
    range_rate: float | None = None
    start_samples: int | None = None

    def __post_init__(self) -> None:
        check_steps(self.steps)

    def passes(self) -> list[Pass]:
        """Scales, bits, weights and activations; then training."""
        activations = QuantizeActivations("mse2.4", "step")
        choose = raise_by_kurtosis if self.plus else swap_by_kurtosis
        start: tuple[Pass, ...] = (
            BalanceInputs((0.5,), activations=activations),
            AssignBits(choose, Nearest("mse2.4"), activations),
            QuantizeWeights(Nearest("mse2.4")),
            activations,
        )
        objective = Relations(100.0, 1.0, itself=True)
        return trained(start, objective, self, 0.0)


def trained(
    start: tuple[Pass, ...],
    objective: Relations,
    method: MPQDM | FaithfulMPQDM,
    rest_rate: float | None,
) -> list[Pass]:
    """`start`, then training towards `objective`; without steps only `start`."""
    if not method.steps:
        return list(start)
    learnt = Distill(
        start,
        objective,
        training_of_sites(method, rest_rate),
        rank=method.rank,
        start_samples=method.start_samples,
        # Joined steps are those of the same samples.
        mix=method.window == 1,
    )
    return [JoinSteps(method.window), learnt]


def check_steps(steps: int) -> None:
    """ValueError for a negative number of steps."""
    if steps < 0:
        raise ValueError(f"training takes 0 steps (none) or more, got {steps}")
