"""Turning a network in the normal form into one that runs packed, with every choice on record."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from bitscape.nn import QuantLinear, quantized_sites
from bitscape.runtime.capabilities import Capabilities
from bitscape.runtime.kernels import KERNELS, Kernel

FLOAT = "float"


@dataclass(frozen=True)
class Choice:
    """The kernel of one site. `reason` says why the kernels preferred to it were passed over."""

    name: str
    kernel: str
    real: bool
    reason: str


def pack_network(
    network: nn.Module,
    *,
    kernel: str = "auto",
    rows: int | None = None,
    machine: Capabilities | None = None,
) -> list[Choice]:
    """Swap every coded linear site for a packed module, in place, and return the choices.

    "auto" takes the first kernel that supports a site; "reference" is "dequant" everywhere; a
    kernel's name takes that kernel where it is supported and "dequant" elsewhere. `rows` is the
    number of rows a call, if all calls are alike. Sites without codes stay as they are.
    """
    candidates = _candidates(kernel)
    machine = machine or Capabilities.probe()
    choices = []
    for name, site in quantized_sites(network).items():
        if not isinstance(site, QuantLinear) or site.coded is None:
            choices.append(_unpacked(name, site))
            continue
        chosen, reason = _choose(site, candidates, machine, rows)
        network.set_submodule(name, chosen.build(site))
        choices.append(Choice(name, chosen.name, chosen.real(site), reason))
    return choices


def resident_bytes(network: nn.Module) -> int:
    """Bytes of all parameters and buffers that `network` holds in memory."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(network))


def _candidates(kernel: str) -> list[Kernel]:
    if kernel == "auto":
        return list(KERNELS.values())
    names = {"reference": "dequant"}
    wanted = KERNELS.get(names.get(kernel, kernel))
    if wanted is None:
        options = ", ".join(["auto", "reference", *KERNELS])
        raise ValueError(f"unknown kernel {kernel!r}: choose one of {options}")
    return list(dict.fromkeys([wanted, KERNELS["dequant"]]))


def _choose(
    layer: QuantLinear, candidates: list[Kernel], machine: Capabilities, rows: int | None
) -> tuple[Kernel, str]:
    reasons: list[str] = []
    for kernel in candidates:
        reason = kernel.supports(layer, machine, rows=rows)
        if reason is None:
            return kernel, "; ".join(reasons)
        reasons.append(f"{kernel.name}: {reason}")
    raise AssertionError("the last candidate, dequant, supports every layer")


def _unpacked(name: str, site: nn.Module) -> Choice:
    rounded = isinstance(site, QuantLinear) and site.activation is None
    return Choice(name, FLOAT, rounded, "the site has no kernel or no codes")


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()
