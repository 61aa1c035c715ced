"""What the machine can run fast, asked once and handed to the kernels."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

FLOATS: Mapping[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""The float types that a quantized network is timed against, by their names in reports."""

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Capabilities:
    """The instruction sets that decide between kernels."""

    vnni: bool
    bf16: bool

    @classmethod
    def probe(cls) -> "Capabilities":
        """The capabilities of this machine's processor, from torch's own detection."""
        return cls(vnni=torch.cpu._is_vnni_supported(), bf16=torch.cpu._is_avx512_bf16_supported())


def native_dtype() -> torch.dtype:
    """The float type in which this processor multiplies fastest.

    Without instructions for it, bfloat16 is emulated and several times slower than float32.
    """
    return torch.bfloat16 if Capabilities.probe().bf16 else torch.float32


def describe_machine() -> dict[str, str | int]:
    """Processor, instruction sets, threads and torch version, for the head of a benchmark."""
    machine = Capabilities.probe()
    sets = [torch.backends.cpu.get_cpu_capability()]
    sets += ["VNNI"] if machine.vnni else []
    sets += ["BF16"] if machine.bf16 else []
    return {
        "processor": _processor(),
        "instruction_sets": " ".join(sets),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
