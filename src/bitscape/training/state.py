"""What a run has to remember to go on, in one file or, of sharded parameters, in one folder."""

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from bitscape.files import move_whole, whole_file
from bitscape.training.average import MovingAverage
from bitscape.training.ranks import Ranks
from bitscape.training.shards import is_sharded


@dataclass
class State:
    """A run after `step` steps and `seconds`, with the sums of the losses since its last log line.

    Module, averages and optimizers are restored in place.
    """

    folder: Path
    ranks: Ranks
    module: nn.Module
    averages: MovingAverage
    optimizers: Sequence[torch.optim.Optimizer]
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)

    def means(self, every: int) -> dict[str, float]:
        """The mean losses since the last line, written `every` so many steps; they start anew."""
        count = (self.step - 1) % every + 1
        means = {name: value / count for name, value in self.sums.items()}
        self.sums = {}
        return means

    @property
    def file(self) -> Path:
        """Where the state of parameters that every process holds is kept."""
        return self.folder / "state.pt"

    @property
    def sharded(self) -> bool:
        """Whether it takes all processes to write it."""
        return any(map(is_sharded, self.module.parameters()))

    def save(self) -> None:
        """Write the state; what stands there is whole at any time."""
        if self.sharded:
            self._save_parts()
        elif self.ranks.first:
            with whole_file(self.file) as part:
                torch.save(self._content(), part)
            self._drop(self._folders())

    def resume(self) -> None:
        """Take up what was saved last, if anything was, in any number of processes.

        ValueError for a run that is sharded now and was not before.
        """
        kept = (self.file.exists(), self._folders()[-1:]) if self.ranks.first else None
        in_file, folders = self.ranks.shared(kept) or (False, [])
        if folders:
            self._load_parts(folders[0])
        elif in_file and self.sharded:
            raise ValueError(f"{self.file} was written by a run that was not sharded: go on so")
        elif in_file:
            content = self._read() if self.ranks.first else None
            content = self.ranks.shared(content)
            assert content is not None
            self.module.load_state_dict(content["module"])
            self.averages.load_state_dict(content["averaged"])
            for optimizer, saved in zip(self.optimizers, content["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.step, self.seconds = int(content["step"]), float(content["seconds"])
            self.sums = dict(content["sums"])

    def _content(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "sums": self.sums,
            "module": self.module.state_dict(),
            "averaged": self.averages.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def _read(self) -> dict[str, Any]:
        content: dict[str, Any] = torch.load(self.file, map_location="cpu", weights_only=True)
        return content

    def _save_parts(self) -> None:
        from torch.distributed.checkpoint.state_dict_saver import save

        partial, old = self.folder / "state.partial", self._folders()
        if self.ranks.first:
            shutil.rmtree(partial, ignore_errors=True)
        distributed.barrier()
        save(self._tensors(), checkpoint_id=partial)
        if self.ranks.first:
            # A folder cannot take the place of another in one move: the last one counts.
            move_whole(partial, self.folder / f"state-{self.step}")
            self._drop(old)

    def _load_parts(self, folder: Path) -> None:
        from torch.distributed.checkpoint.filesystem import FileSystemReader
        from torch.distributed.checkpoint.metadata import TensorStorageMetadata
        from torch.distributed.checkpoint.state_dict_loader import load

        kept = FileSystemReader(folder).read_metadata().state_dict_metadata
        for index, optimizer in enumerate(self.optimizers):
            for place, parameter in enumerate(_parameters(optimizer)):
                above = f"optimizers.{index}.{place}."
                optimizer.state[parameter] = {
                    key.removeprefix(above): _like(parameter, found.size, found.properties.dtype)
                    for key, found in kept.items()
                    if key.startswith(above) and isinstance(found, TensorStorageMetadata)
                }
        self.sums = {n.removeprefix("sums."): 0.0 for n in kept if n.startswith("sums.")}
        tensors = self._tensors()
        with warnings.catch_warnings():
            # That there is a single process is no surprise.
            warnings.filterwarnings("ignore", "torch.distributed is disabled")
            load(tensors, checkpoint_id=folder, no_dist=self.ranks.count == 1)
        self.step, self.seconds = int(tensors["step"]), float(tensors["seconds"])
        self.sums = {name: float(value) for name, value in tensors["sums"].items()}

    def _tensors(self) -> dict[str, Any]:
        """The state as tensors alone, those of the module and optimizers being their own."""
        return {
            "step": torch.tensor(self.step),
            "seconds": torch.tensor(self.seconds, dtype=torch.float64),
            "sums": {n: torch.tensor(v, dtype=torch.float64) for n, v in self.sums.items()},
            "module": self.module.state_dict(),
            "averaged": self.averages.state_dict(),
            "optimizers": {
                str(index): {
                    str(place): dict(optimizer.state[parameter])
                    for place, parameter in enumerate(_parameters(optimizer))
                    if optimizer.state[parameter]
                }
                for index, optimizer in enumerate(self.optimizers)
            },
        }

    def _folders(self) -> list[Path]:
        """The folders of states, the newest last."""
        return sorted(self.folder.glob("state-*"), key=lambda path: int(path.name[6:]))

    def _drop(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if folder != self.folder / f"state-{self.step}":
                shutil.rmtree(folder)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _like(parameter: Tensor, size: torch.Size, dtype: torch.dtype) -> Tensor:
    """Room for a value that the optimizer keeps of `parameter`: for each number, or one count."""
    if size == parameter.shape:
        return torch.zeros_like(parameter, dtype=dtype)
    return torch.zeros(size, dtype=dtype)
