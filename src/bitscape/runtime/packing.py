"""Turning a network in the normal form into one that runs packed, with every choice on record."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from bitscape.nn import QuantAttend, Quantized, quantized_sites
from bitscape.runtime.capabilities import Capabilities
from bitscape.runtime.fused import fuse
from bitscape.runtime.kernels import KERNELS, Kernel, Layer

FLOAT = "float"


@dataclass(frozen=True)
class Choice:
    """The kernel of one site. `reason` says why the kernels preferred to it were passed over.

    `kernel` is "float" for a site that stays in the normal form. `real` is false where rounding is
    emulated in float.
    """

    name: str
    kernel: str
    real: bool
    reason: str


def pack_network(
    network: nn.Module,
    *,
    kernel: str = "auto",
    machine: Capabilities | None = None,
) -> list[Choice]:
    """Swap every coded linear or convolution for a packed module, in place; return the choices.

    "auto" takes the first kernel that supports a site; "reference" is "dequant" everywhere; a
    kernel's name takes that kernel where it is supported and "dequant" elsewhere. Sites without
    codes stay as they are. Layers whose kernels allow it run together, see `fuse`.
    """
    choices = choose_kernels(network, kernel=kernel, machine=machine)
    for choice in choices:
        if choice.kernel in KERNELS:
            site = network.get_submodule(choice.name)
            assert isinstance(site, Layer)
            network.set_submodule(choice.name, KERNELS[choice.kernel].build(site))
    fuse(network)
    return choices


def choose_kernels(
    network: nn.Module,
    *,
    kernel: str = "auto",
    machine: Capabilities | None = None,
) -> list[Choice]:
    """The choices `pack_network` would make, without packing anything."""
    candidates = _candidates(kernel)
    machine = machine or Capabilities.probe()
    return [
        _choose(name, site, candidates, machine) for name, site in quantized_sites(network).items()
    ]


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


def _choose(name: str, site: Quantized, candidates: list[Kernel], machine: Capabilities) -> Choice:
    if isinstance(site, QuantAttend):
        return Choice(name, FLOAT, site.q is None, "there is no kernel for attention products")
    if site.coded is None:
        return Choice(name, FLOAT, site.activation is None, "the weight has no codes")
    reasons: list[str] = []
    for kernel in candidates:
        reason = kernel.supports(site, machine)
        if reason is None:
            return Choice(name, kernel.name, kernel.real(site), "; ".join(reasons))
        reasons.append(f"{kernel.name}: {reason}")
    raise AssertionError("the last candidate, dequant, supports every layer")


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()
