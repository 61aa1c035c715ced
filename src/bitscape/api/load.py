"""Loading by name: the zoo, an artefact, or a released size with its checkpoint."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from bitscape import artefacts, zoo
from bitscape.api.catalogue import ZOO, known_names, unknown
from bitscape.api.model import Model, checked_device
from bitscape.models import FAMILIES
from bitscape.runtime import pack_network
from bitscape.structure import Pipeline

NORMAL_FORM = "none"


def load(
    name: str | Path,
    *,
    checkpoint: str | Path | None = None,
    tokenizer: str | Path | None = None,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    kernel: str = "auto",
) -> Model:
    """The model called `name`: "zoo:var-s", an artefact folder, or a released size ("var-d16").

    `checkpoint` and `tokenizer` are safetensors files under our names of the weights; a released
    size needs both. `dtype` None keeps the one the weights were saved to compute in.
    `kernel` says how the quantized sites of an artefact run: "auto" the fastest that this machine
    has for each, "reference" the packed reference, the name of a kernel that one wherever it can,
    "none" leaves them in the normal form, which can be inspected and saved again.
    """
    place = checked_device(device)
    path = Path(name)
    if path.is_dir():
        model = _artefact(path)
        if checkpoint or tokenizer:
            raise ValueError(f"{path} is an artefact and takes no checkpoint or tokenizer")
    else:
        model = Model(_named(str(name), checkpoint, tokenizer))
    if dtype is not None:
        wanted = dtype if isinstance(dtype, torch.dtype) else artefacts.dtype_called(dtype)
        model.pipeline.network.to(wanted)
    model.to(place)
    return _packed(model, kernel)


def _packed(model: Model, kernel: str) -> Model:
    """`model` with its coded sites replaced, in place, by kernels; see `load`."""
    if kernel == NORMAL_FORM:
        return model
    choices = tuple(pack_network(model.pipeline.network, kernel=kernel))
    return replace(model, choices=choices)


def _artefact(path: Path) -> Model:
    if not any(path.iterdir()):
        raise ValueError(f"{path} is an empty folder, not an artefact of `bitscape quantize`")
    pipeline, report = artefacts.load(path)
    return Model(pipeline, artefacts.read_recipe(path) or None, report, source=path)


def _named(name: str, checkpoint: str | Path | None, tokenizer: str | Path | None) -> Pipeline:
    if name.removeprefix(ZOO) in zoo.available() and name.startswith(ZOO):
        pipeline = zoo.load_pipeline(name.removeprefix(ZOO))
    else:
        pipeline = _released(name, checkpoint, tokenizer)
    if checkpoint is not None:
        _fill(pipeline.network, Path(checkpoint))
    if tokenizer is not None:
        _fill(pipeline.tokenizer, Path(tokenizer))
    pipeline.network.requires_grad_(False)
    return pipeline


def _released(name: str, checkpoint: str | Path | None, tokenizer: str | Path | None) -> Pipeline:
    family, _, size = name.partition("-")
    if family not in FAMILIES or size not in FAMILIES[family].sizes:
        raise unknown("model", name, known_names(), "or give an artefact folder")
    if checkpoint is None or tokenizer is None:
        raise ValueError(
            f"{name} is not bundled: give its weights with --checkpoint and --tokenizer, "
            "or choose a zoo: model"
        )
    return FAMILIES[family].build(size)


def _fill(module: nn.Module, path: Path) -> None:
    """Copy a safetensors file into the module, in place."""
    if not path.is_file():
        raise FileNotFoundError(f"the checkpoint {path} does not exist")
    artefacts.fill(module, artefacts.read_tensors(path), path)
