"""What the demo measured, as plain values: everything a picture or a page needs, and no model."""

from dataclasses import dataclass

from jaxtyping import UInt8
from numpy import ndarray


@dataclass(frozen=True)
class Setting:
    """One way to store a model: a recipe, or its weights as trained ("full-precision").

    `title` is what a newcomer reads ("4 bits"), `scheme` and `method` what the field calls it.
    """

    recipe: str
    title: str
    scheme: str
    method: str


@dataclass(frozen=True)
class Difference:
    """Mean and standard error of a paired difference to full precision."""

    mean: float
    standard_error: float


@dataclass(frozen=True)
class Row:
    """One setting of one model, measured.

    `file_bytes` is the size on disk of the network's weights. `fd_committed` is the value at the
    full sample count that ships with the package, None where none was committed.
    """

    setting: Setting
    pictures: UInt8[ndarray, "picture height width 3"]
    file_bytes: int
    fd_preview: float
    fd_committed: float | None
    class_accuracy: float
    loss: float
    loss_difference: Difference | None


@dataclass(frozen=True)
class Panel:
    """One model in every setting, full precision first."""

    model: str
    family: str
    parameters: int
    loss_name: str
    rows: tuple[Row, ...]

    @property
    def full(self) -> Row:
        """The row of the weights as trained."""
        return self.rows[0]


@dataclass(frozen=True)
class Timing:
    """How long one block takes in one arithmetic.

    `kernel` is what most of its layers run on. `real` is False where most compute with
    dequantized weights, or any emulates its activations in float: bits that save no time.
    """

    name: str
    kernel: str
    real: bool
    median_ms: float
    p10_ms: float
    p90_ms: float
    weight_bytes: int


@dataclass(frozen=True)
class Speed:
    """Timings of one block on this machine, all taken in turns in one run."""

    block: str
    rows: int
    machine: str
    timings: tuple[Timing, ...]


@dataclass(frozen=True)
class Demo:
    """Everything on the page."""

    panels: tuple[Panel, ...]
    speed: Speed | None
    preview_samples: int
    committed_samples: int
    losses_on: int
    seconds: float
