"""The kernels: for each, when it applies and what it builds. The registry is the test matrix.

A kernel is one evaluator of the normal form among others, so each is tested by equality with the
fake-quantized layer. `supports` holds every guard against operations of torch that crash, are wrong
or fall to a reference loop outside their bounds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.runtime import conv, int8, weight_only
from bitscape.runtime.capabilities import Capabilities
from bitscape.runtime.dequant import DequantConv, DequantLinear

Layer = QuantLinear | QuantConv2d


@runtime_checkable
class Kernel(Protocol):
    """A way to run a coded layer, linear or a convolution.

    `real` says that the arithmetic happens at the widths of the scheme, and is not emulated in
    float. `tolerance` bounds the greatest difference from the fake-quantized layer in float32,
    relative to the greatest output.
    """

    @property
    def name(self) -> str:
        """The name in the registry and in reports."""
        ...

    @property
    def tolerance(self) -> float:
        """Greatest difference from the fake-quantized layer over the greatest output."""
        ...

    def real(self, layer: Layer) -> bool:
        """Whether `layer` is computed at the widths of its scheme."""
        ...

    def supports(self, layer: Layer, machine: Capabilities) -> str | None:
        """None when `layer` can run here, else the reason why not."""
        ...

    def build(self, layer: Layer) -> nn.Module:
        """The packed module, whose forward pass takes and gives what the layer's does."""
        ...


Obstacle = Callable[[QuantLinear, Capabilities], str | None]


@dataclass(frozen=True)
class PackedKernel:
    """A kernel made of its obstacles and its module."""

    name: str
    tolerance: float
    obstacle: Obstacle
    module: Callable[[QuantLinear], nn.Module]

    def real(self, layer: Layer) -> bool:
        """True: packed kernels compute at the widths of the scheme."""
        return True

    def supports(self, layer: Layer, machine: Capabilities) -> str | None:
        """None when `layer` can run here, else the reason why not."""
        assert layer.coded is not None
        device = layer.coded.codes.device
        if device.type != "cpu":
            return f"the weight is on {device}, the kernel is for cpu"
        if not isinstance(layer, QuantLinear):
            return "the kernel is for linear layers"
        return self.obstacle(layer, machine)

    def build(self, layer: Layer) -> nn.Module:
        """The packed module."""
        assert isinstance(layer, QuantLinear)
        return self.module(layer)


@dataclass(frozen=True)
class DequantKernel:
    """The kernel that runs everything: float arithmetic on dequantized weights."""

    name: str = "dequant"
    tolerance: float = 0.0

    def real(self, layer: Layer) -> bool:
        """Whether float is what the scheme asks for: 16-bit activations."""
        return layer.activation is None

    def supports(self, layer: Layer, machine: Capabilities) -> str | None:
        """None."""
        return None

    def build(self, layer: Layer) -> nn.Module:
        """The layer with packed codes."""
        return DequantConv(layer) if isinstance(layer, QuantConv2d) else DequantLinear(layer)


@dataclass(frozen=True)
class ConvKernel:
    """Static u8 x s8 convolutions through oneDNN, weights of any integers in 8 bits each."""

    name: str = "onednn-conv-static"
    tolerance: float = 5e-3

    def real(self, layer: Layer) -> bool:
        """True."""
        return True

    def supports(self, layer: Layer, machine: Capabilities) -> str | None:
        """None when `layer` can run here, else the reason why not."""
        if not isinstance(layer, QuantConv2d):
            return "the kernel is for convolutions"
        assert layer.coded is not None
        device = layer.coded.codes.device
        if device.type != "cpu":
            return f"the weight is on {device}, the kernel is for cpu"
        return conv.obstacle(layer) or _no_vnni(machine)

    def build(self, layer: Layer) -> nn.Module:
        """The packed module."""
        assert isinstance(layer, QuantConv2d)
        return conv.OnednnConv(layer)


def _onednn(layer: QuantLinear, machine: Capabilities, *, dynamic: bool) -> str | None:
    reason = int8.obstacle(layer)
    if reason is not None:
        return reason
    assert layer.coded is not None and layer.activation is not None
    if layer.activation.scheme.dynamic != dynamic:
        return f"the activation range is {'static' if dynamic else 'dynamic'}"
    if layer.coded.scheme.format.code_bits != 8:
        return f"the weights have {layer.coded.scheme.format.code_bits} bits, not 8"
    return _no_vnni(machine)


def _static(layer: QuantLinear, machine: Capabilities) -> str | None:
    return _onednn(layer, machine, dynamic=False)


def _dynamic(layer: QuantLinear, machine: Capabilities) -> str | None:
    return _onednn(layer, machine, dynamic=True)


def _unpack(layer: QuantLinear, machine: Capabilities) -> str | None:
    return int8.obstacle(layer) or _no_vnni(machine)


def _bfloat16(layer: QuantLinear, machine: Capabilities) -> str | None:
    return weight_only.obstacle(layer) or _no_bfloat16(machine)


def _float32(layer: QuantLinear, machine: Capabilities) -> str | None:
    return weight_only.obstacle(layer)


def _no_vnni(machine: Capabilities) -> str | None:
    # Without it, oneDNN's u8 x s8 saturates in 16 bits, and `_int_mm` is slower than float.
    return None if machine.vnni else "the processor has no VNNI"


def _no_bfloat16(machine: Capabilities) -> str | None:
    return None if machine.bf16 else "the processor has no bfloat16 arithmetic"


_ORDERED: tuple[Kernel, ...] = (
    PackedKernel("onednn-w8a8-static", 5e-3, _static, int8.OnednnLinear),
    PackedKernel("int8-w8a8-dynamic", 5e-3, _dynamic, int8.OnednnLinear),
    PackedKernel("int8-unpack", 5e-3, _unpack, int8.UnpackLinear),
    PackedKernel(
        "bf16-unpack",
        2e-2,
        _bfloat16,
        partial(weight_only.UnpackFloatLinear, dtype=torch.bfloat16),
    ),
    PackedKernel(
        "fp32-unpack", 1e-5, _float32, partial(weight_only.UnpackFloatLinear, dtype=torch.float32)
    ),
    ConvKernel(),
    DequantKernel(),
)

KERNELS: dict[str, Kernel] = {kernel.name: kernel for kernel in _ORDERED}
