"""The zoo's weight files: bf16 safetensors inside the package, one a module."""

from pathlib import Path

import torch
from torch import nn

from bitscape.files import read_tensors, write_tensors
from bitscape.models import FAMILIES, MultiScaleTokenizer, VQTokenizer
from bitscape.structure import Pipeline
from bitscape.zoo import autoencoder, raster
from bitscape.zoo.catalogue import ENTRIES, LINES, WIDTHS, Entry
from bitscape.zoo.observer import Observer
from bitscape.zoo.outliers import plant_outliers

FOLDER = Path(__file__).parent / "weights"


def save_module(module: nn.Module, path: Path) -> None:
    """Write the parameters and buffers of `module` to `path` as bf16, whole or not at all."""
    write_tensors(path, {n: t.to(torch.bfloat16) for n, t in module.state_dict().items()})


def load_module(module: nn.Module, path: Path) -> None:
    """Fill `module` with the weights in `path`.

    FileNotFoundError names what is missing, ValueError what is damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"the zoo has no trained weights {path.name}")
    module.load_state_dict(read_tensors(path))


def load_tokenizer(folder: Path = FOLDER) -> MultiScaleTokenizer:
    """The autoencoder and codebook that all families share."""
    tokenizer = autoencoder.build()
    load_module(tokenizer, folder / "autoencoder.safetensors")
    return tokenizer.eval().requires_grad_(False)


def load_raster_tokenizer(folder: Path = FOLDER) -> VQTokenizer:
    """The same autoencoder with the flat codebook of the raster families."""
    tokenizer = raster.share(raster.build(), load_tokenizer(folder))
    load_module(raster.own_parts(tokenizer), folder / "raster.safetensors")
    return tokenizer.eval().requires_grad_(False)


RASTER = ("llamagen",)
"""The families that read and write one token a cell."""


def tokenizer_of(entry: Entry, folder: Path = FOLDER) -> nn.Module:
    """The tokenizer that an entry's family speaks."""
    return load_raster_tokenizer(folder) if entry.family in RASTER else load_tokenizer(folder)


def load_observer(folder: Path = FOLDER) -> Observer:
    """The evaluation network."""
    result = Observer()
    load_module(result, folder / "observer.safetensors")
    return result.eval().requires_grad_(False)


def assemble_entry(entry: Entry, tokenizer: nn.Module) -> Pipeline:
    """An untrained pipeline of a catalogue entry."""
    result = FAMILIES[entry.family].pipeline(
        f"zoo:{entry.name}", entry.size, entry.config, tokenizer
    )
    result.sampler = dict(LINES[entry.family].sampler)
    return result


def available(folder: Path = FOLDER) -> list[str]:
    """The names whose weights are in `folder`, in catalogue order."""
    return [n for n, e in ENTRIES.items() if (folder / f"{e.weights}.safetensors").exists()]


def trained(family: str, folder: Path = FOLDER) -> list[str]:
    """The sizes of `family` whose weights are in `folder`, smallest first, without variants."""
    names = available(folder)
    return [n for n in names if n in {f"{family}-{size}" for size in WIDTHS}]


def load_pipeline(name: str, folder: Path = FOLDER) -> Pipeline:
    """The trained pipeline `name`; KeyError for a name the catalogue does not hold."""
    entry = ENTRIES[name]
    pipeline = assemble_entry(entry, tokenizer_of(entry, folder))
    load_module(pipeline.network, folder / f"{entry.weights}.safetensors")
    pipeline.network.requires_grad_(False)
    if entry.twin:
        plant_outliers(pipeline)
    return pipeline
