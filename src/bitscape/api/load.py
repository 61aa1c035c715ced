"""Loading by name: the zoo, an artefact, or a released size with its checkpoint."""

from dataclasses import replace
from pathlib import Path

import torch

from bitscape import artefacts, zoo
from bitscape.api.catalogue import ZOO, known_names, unknown
from bitscape.api.model import Model, checked_device
from bitscape.api.nested import read_at
from bitscape.api.released import Released, network_weights, tokenizer_weights
from bitscape.models import FAMILIES
from bitscape.models.prompts import find_vocabulary
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
    bits: int | None = None,
) -> Model:
    """The model called `name`: "zoo:var-s", an artefact folder, or a released size ("var-d16").

    A released size needs the files of its weights, `checkpoint` and `tokenizer`, as they were
    published or under our names; a diffusers folder holds both. What they hold is checked now and
    read when it is first needed; words are read from a vocabulary beside them, if there is one.
    `dtype` None computes in float32, or as an artefact was saved. `kernel` says how the quantized
    sites of an artefact run: "auto" the fastest that this machine has for each,
    "reference" the packed reference, the name of a kernel that one wherever it can, "none" leaves
    them in the normal form, which can be inspected and saved again. `bits` reads the weights of an
    artefact with nested codes at that width.
    """
    place = checked_device(device)
    wanted = artefacts.dtype_called(dtype) if isinstance(dtype, str) else dtype
    path = Path(name)
    if bits is not None and not path.is_dir():
        raise ValueError(f"{name} is no artefact: bits are for one with nested codes (matryoshka)")
    if not path.is_dir() and not str(name).startswith(ZOO):
        return _released(str(name), checkpoint, tokenizer, place, wanted)
    if path.is_dir():
        model = _artefact(path)
        if bits is not None:
            model = read_at(model, bits)
        if checkpoint or tokenizer:
            raise ValueError(f"{path} is an artefact and takes no checkpoint or tokenizer")
    else:
        model = Model(_bundled(str(name), checkpoint, tokenizer))
    if wanted is not None:
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


def _bundled(name: str, checkpoint: str | Path | None, tokenizer: str | Path | None) -> Pipeline:
    if name.removeprefix(ZOO) not in zoo.available():
        raise unknown("model", name, known_names(), "or give an artefact folder")
    pipeline = zoo.load_pipeline(name.removeprefix(ZOO))
    for module, given in ((pipeline.network, checkpoint), (pipeline.tokenizer, tokenizer)):
        if given is not None:
            # No one else publishes weights for the zoo: they stand under our names.
            file = artefacts.open_foreign(Path(given))
            artefacts.match(module, (), file, f"a {type(module).__name__} of {name}").fill(module)
    pipeline.network.requires_grad_(False)
    return pipeline


def _released(
    name: str,
    checkpoint: str | Path | None,
    tokenizer: str | Path | None,
    device: torch.device,
    dtype: torch.dtype | None,
) -> Model:
    family, _, size = name.partition("-")
    if family not in FAMILIES or size not in FAMILIES[family].sizes:
        raise unknown("model", name, known_names(), "or give an artefact folder")
    if checkpoint is None:
        raise ValueError(
            f"{name} is not bundled: give its weights with --checkpoint and --tokenizer, "
            "or choose a zoo: model"
        )
    with artefacts.without_weights():
        outline = FAMILIES[family].build(size)
    file = artefacts.open_foreign(Path(checkpoint))
    network = network_weights(file, outline)
    given = [Path(path) for path in (tokenizer, checkpoint) if path is not None]
    find_vocabulary(outline.tokenizer, [p if p.is_dir() else p.parent for p in given])
    if tokenizer is not None:
        file = artefacts.open_foreign(Path(tokenizer))
    try:
        # Files of latent diffusion and folders of diffusers hold both.
        released = Released(network, tokenizer_weights(file, outline), device, dtype)
    except ValueError as error:
        if tokenizer is not None or file.format == "diffusers":
            raise
        message = f"{name} also needs its tokenizer: give it with --tokenizer"
        raise ValueError(message) from error
    return Model(outline, released=released)
