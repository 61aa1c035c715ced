"""What the machine can run fast, asked once and handed to the kernels."""

import os
import platform
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Capabilities:
    """The instruction sets that decide between kernels."""

    vnni: bool
    bf16: bool

    @classmethod
    def probe(cls) -> "Capabilities":
        """The capabilities of this machine's processor, from torch's own detection."""
        flags = torch.cpu.get_capabilities()
        return cls(
            vnni=bool(flags.get("avx512_vnni") or flags.get("amx_int8")),
            bf16=bool(flags.get("avx512_bf16") or flags.get("amx_bf16")),
        )


def describe_machine() -> dict[str, str | int]:
    """Processor, instruction sets, threads and torch version, for the head of a benchmark."""
    flags = torch.cpu.get_capabilities()
    sets = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    return {
        "processor": str(flags.get("cpu_name") or platform.processor() or platform.machine()),
        "instruction_sets": " ".join(name for name in sets if flags.get(name)),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
