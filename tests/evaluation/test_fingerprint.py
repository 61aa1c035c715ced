from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from bitscape.evaluation import fingerprint, sampler_fingerprint
from bitscape.structure import StepClock


@dataclass(frozen=True)
class Scheme:
    bits: int


class Layer(nn.Module):
    def __init__(self, bits: int = 8) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2, dtype=torch.bfloat16))
        self.register_buffer("codes", torch.zeros(3, dtype=torch.uint8), persistent=False)
        self.scheme = Scheme(bits)
        self.clock = StepClock()


def test_equal_models_agree() -> None:
    assert fingerprint(Layer()) == fingerprint(Layer())


def test_the_clock_and_the_mode_do_not_matter() -> None:
    moved = Layer().eval()
    moved.clock.set(torch.tensor([[3]]))
    assert fingerprint(moved) == fingerprint(Layer())


def test_weights_hidden_buffers_and_schemes_matter() -> None:
    weight, codes = Layer(), Layer()
    weight.weight.data[0, 0] = 2
    codes.codes[0] = 1
    prints = {fingerprint(model) for model in (Layer(), weight, codes, Layer(bits=4))}
    assert len(prints) == 4


def test_prepacked_weights_matter() -> None:
    def packed(first: int) -> nn.Module:
        weight = torch.ones(16, 32, dtype=torch.int8)
        weight[0, 0] = first
        layer = nn.Module()
        layer.packed = torch.ops.onednn.qlinear_prepack(weight, None)
        return layer

    assert fingerprint(packed(1)) == fingerprint(packed(1))
    assert fingerprint(packed(1)) != fingerprint(packed(2))


def test_sampler_and_shard_size_matter(discrete) -> None:
    pipeline = discrete()
    hot = replace(pipeline, sampler={"temperature": 2.0})
    prints = {
        sampler_fingerprint(pipeline, 10),
        sampler_fingerprint(pipeline, 20),
        sampler_fingerprint(hot, 10),
    }
    assert len(prints) == 3
    assert sampler_fingerprint(discrete(), 10) in prints


def test_an_option_that_cannot_be_recorded_is_refused(discrete) -> None:
    with pytest.raises(ValueError, match="cannot be recorded"):
        sampler_fingerprint(replace(discrete(), sampler={"solver": object()}), 10)
