"""Key maps of released files: every parameter has its source, in the shapes that were published."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

from bitscape.models import FAMILIES
from bitscape.models.checkpoint import Layout, gather
from bitscape.models.var import released_keys
from bitscape.models.var_network import VAR, VARConfig

with torch.device("meta"):
    LAYOUTS = [
        pytest.param(layout, module, id=f"{name}-{layout.name}".replace(" ", "-"))
        for name, family in FAMILIES.items()
        if not family.extra or find_spec(family.extra)
        for layouts, module in (
            (family.layouts, family.network(family.tiny_config)),
            (family.tokenizer_layouts, family.tokenizer(family.tiny_config)),
        )
        for layout in layouts
    ]


@pytest.mark.parametrize(("layout", "module"), LAYOUTS)
def test_every_parameter_has_a_source(layout: Layout, module: nn.Module) -> None:
    keys = layout.keys(module)
    assert {name for name, _ in module.named_parameters()} <= keys.keys()
    assert keys.keys() <= module.state_dict().keys()


SHARED = VARConfig(
    16, 2, 2, num_classes=10, vocabulary=32, latent_channels=8, patch_nums=(1, 2), shared_aln=True
)


def stand_in(network: VAR) -> dict[str, Tensor]:
    """A file in the released layout whose tensors are numbered, in the shapes published there."""
    channels, heads, depth = (
        network.config.embed_dim,
        network.config.num_heads,
        network.config.depth,
    )
    state = network.state_dict()
    file = {}
    for name, source in released_keys(network).items():
        for key in source.keys:
            file[key] = torch.full(state[name].shape, float(len(file)))
    for i in range(depth):
        file[f"blocks.{i}.attn.q_bias"] = torch.full((channels,), 1.0)
        file[f"blocks.{i}.attn.v_bias"] = torch.full((channels,), 3.0)
        file[f"blocks.{i}.attn.scale_mul_1H11"] = torch.rand(1, heads, 1, 1)
        if network.config.shared_aln:
            file[f"blocks.{i}.ada_gss"] = torch.rand(1, 1, 6, channels)
    return file


@pytest.mark.parametrize("shared", [False, True], ids=["own modulation", "shared modulation"])
def test_joined_tensors_of_var_have_our_shapes(shared: bool) -> None:
    network = VAR(replace(SHARED, shared_aln=shared))
    file = stand_in(network)
    found = dict(gather(released_keys(network), file.__getitem__))
    network.load_state_dict(found, strict=False)
    query, key, value = found["blocks.0.attn.qkv.bias"].chunk(3)
    assert bool((query == 1).all() and (key == 0).all() and (value == 3).all())
    temperature = file["blocks.1.attn.scale_mul_1H11"]
    assert torch.equal(found["blocks.1.attn.log_temperature"], temperature[0])
