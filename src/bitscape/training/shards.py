"""Sharding: of every parameter each process keeps a part, and the whole only while it is used.

torch's `fully_shard` (FSDP2) gathers the parameters of a block before it runs and drops them
behind it, and gives each process the mean gradient of its own part. Optimizers, averages and states
then hold parts by themselves.
"""

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from bitscape.structure import Pipeline

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def shard(pipeline: Pipeline) -> Pipeline:
    """The pipeline with a sharded network; that of `pipeline` is left without its parameters.

    Blocks are gathered one at a time, what lies between them with the sub-network that a call
    names. Clocks, tokenizer, adapter and buffers are those of `pipeline`.
    """
    # These cost seconds to import, which runs of one process need not pay.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    shared = (*pipeline.clocks.values(), *pipeline.network.parameters())
    memo = {id(part): part for part in (*shared, *pipeline.network.buffers())}
    network = copy.deepcopy(pipeline.network, memo)
    kind = pipeline.device.type
    mesh = init_device_mesh(kind, (distributed.get_world_size(),))
    blocks = [block.name for block in pipeline.adapter.blocks(network)]
    for name in (*blocks, *pipeline.clocks):
        part = network.get_submodule(name)
        # In place, a change of a view would pass by what is to happen on the way back.
        part.register_forward_hook(_no_view)
        numbers = {p for p in part.parameters() if p.ndim == 0}
        # gloo, the engine of processors, knows sums but no means.
        fully_shard(part, mesh=mesh, ignored_params=numbers).set_force_sum_reduction_for_comms(
            kind == "cpu"
        )
    for parameter in pipeline.network.parameters():
        parameter.data = parameter.new_empty(0)
    return replace(pipeline, network=network)


def _no_view(module: nn.Module, args: object, output: object) -> object:
    del module, args
    return output.clone() if isinstance(output, Tensor) and output._is_view() else output


@torch.no_grad()
def gather(sharded: nn.Module, network: nn.Module) -> None:
    """Give `network`, which `shard` left without them, the parameters that `sharded` has now."""
    parts = dict(sharded.named_parameters())
    for name, parameter in network.named_parameters():
        parameter.data = whole(parts[name].detach())


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds a part of `tensor` alone."""
    return _part(tensor) is not None


def whole(tensor: Tensor) -> Tensor:
    """All of `tensor`; where it is sharded, every process has to ask."""
    part = _part(tensor)
    return tensor if part is None else part.full_tensor()


def _part(tensor: Tensor) -> "DTensor | None":
    """`tensor` as the part that it is, or None for a whole one."""
    # Parts are of a process group: a run without one need not pay for the import.
    if not (distributed.is_available() and distributed.is_initialized()):
        return None
    from torch.distributed.tensor import DTensor

    return tensor if isinstance(tensor, DTensor) else None


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """The norm of all gradients together, sharded or not; they are scaled to `limit` at most."""
    trained = [p for p in parameters if p.grad is not None]
    kinds = [[p for p in trained if is_sharded(p) is kind] for kind in (False, True)]
    norms = [whole(get_total_norm([p.grad for p in k if p.grad is not None])) for k in kinds if k]
    total = norms[0] if len(norms) == 1 else get_total_norm(norms)
    for kind in kinds:
        clip_grads_with_norm_(kind, limit, total)
    return total
