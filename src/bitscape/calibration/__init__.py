"""Calibration: recorded calls, statistics of what sites multiply, and the block-wise stream."""

from bitscape.calibration.extremes import Extremes
from bitscape.calibration.hessian import Hessian
from bitscape.calibration.inputs import Statistic, site_input, watching
from bitscape.calibration.mixing import mixed
from bitscape.calibration.observe import Whole, hessian_of, hessians, observe, replay
from bitscape.calibration.paired import PairedInputs
from bitscape.calibration.ranges import StepSamples
from bitscape.calibration.record import CalibrationSet, record
from bitscape.calibration.rows import Rows, RowSamples
from bitscape.calibration.sampling import spread
from bitscape.calibration.stream import Outputs, Unit, stream

__all__ = [
    "CalibrationSet",
    "Extremes",
    "Hessian",
    "Outputs",
    "PairedInputs",
    "RowSamples",
    "Rows",
    "Statistic",
    "StepSamples",
    "Unit",
    "Whole",
    "hessian_of",
    "hessians",
    "mixed",
    "observe",
    "record",
    "replay",
    "site_input",
    "spread",
    "stream",
    "watching",
]
