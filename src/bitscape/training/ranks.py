"""Data parallelism: several processes take the same steps on shares of the same batch.

Gradients are averaged over the processes that torchrun (or accelerate) started, so that a step of n
processes is the step of one on the whole batch. Networks are called through trajectories, several
times a step, which is why gradients are averaged here and not by a wrapper around one `forward`.
Those of sharded parameters are averaged as they are shared out.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from bitscape.training.shards import is_sharded

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run: number `rank` of `count`."""

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> "Ranks":
        """The process group that was set up, or a process on its own."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this process writes what all share."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of a batch; ValueError when it does not divide evenly."""
        if len(items) % self.count:
            raise ValueError(
                f"a batch of {len(items)} does not divide among {self.count} processes: "
                "choose a multiple"
            )
        size = len(items) // self.count
        return items[self.rank * size : (self.rank + 1) * size]

    def mean(self, value: Tensor) -> Tensor:
        """The mean of `value` over the processes."""
        value = value.detach()
        if self.count == 1:
            return value
        total = value.clone()
        distributed.all_reduce(total)
        return total / self.count

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the mean gradients; one that no process has stays absent."""
        # Parts of sharded parameters have theirs already.
        trained = [p for p in parameters if p.requires_grad and not is_sharded(p)]
        if self.count == 1 or not trained:
            return
        present = torch.tensor([float(p.grad is not None) for p in trained])
        present = self.mean(present.to(trained[0].device))
        used = [p for p, share in zip(trained, present.tolist(), strict=True) if share]
        flat = [torch.zeros_like(p) if p.grad is None else p.grad for p in used]
        mean = self.mean(torch.cat([gradient.flatten() for gradient in flat]))
        for p, part in zip(used, mean.split([p.numel() for p in used]), strict=True):
            # Parameters of several widths travel together, in the widest.
            p.grad = part.view_as(p).to(p.dtype)

    @torch.no_grad()
    def broadcast(self, module: nn.Module) -> None:
        """Give every process the parameters and buffers of the first."""
        if self.count == 1:
            return
        for tensor in (*module.parameters(), *module.buffers()):
            distributed.broadcast(tensor.data, 0)

    def shared(self, value: T) -> T:
        """The first process's `value`, in every process."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, 0)
        return box[0]


@contextmanager
def process_group(device: str) -> Iterator[tuple[str, bool]]:
    """Join the processes that torchrun started; yield this one's device and whether it is first.

    A process on its own has the device that was asked for, and is first.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device, True
        return
    cuda = torch.device(device).type == "cuda"
    place = f"cuda:{os.environ['LOCAL_RANK']}" if cuda else device
    if cuda:
        torch.cuda.set_device(place)
    # Times and counts are on the processor wherever the network is.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        yield place, Ranks.current().first
    finally:
        distributed.destroy_process_group()
