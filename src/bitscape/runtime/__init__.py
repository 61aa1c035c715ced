"""Packed execution: kernels equal to the fake-quantized layers, chosen by format and machine."""

from bitscape.runtime.bench import Latency, compare
from bitscape.runtime.blocks import VARIANTS, BlockLatency, time_block
from bitscape.runtime.capabilities import FLOATS, Capabilities, describe_machine, native_dtype
from bitscape.runtime.kernels import KERNELS, Kernel
from bitscape.runtime.memory import Peaks, peaks, reset_peaks
from bitscape.runtime.packing import Choice, choose_kernels, pack_network, resident_bytes
from bitscape.runtime.planes import BitPlanes

__all__ = [
    "FLOATS",
    "KERNELS",
    "VARIANTS",
    "BitPlanes",
    "BlockLatency",
    "Capabilities",
    "Choice",
    "Kernel",
    "Latency",
    "Peaks",
    "choose_kernels",
    "compare",
    "describe_machine",
    "native_dtype",
    "pack_network",
    "peaks",
    "reset_peaks",
    "resident_bytes",
    "time_block",
]
