"""The script that trains the whole zoo, stage by stage, each stage resumable.

Order: autoencoder, encode, then any generator (LlamaGen after raster, its codebook); sharpen (the
decoder alone) and observer whenever the autoencoder is done. Every stage keeps its state and log in
a folder of the workspace, and its result as bf16 safetensors in the weight folder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bitscape.models import MultiScaleTokenizer
from bitscape.training import Plan, Progress, Run, adamw, muon, train
from bitscape.zoo import autoencoder, encoded, observer, raster
from bitscape.zoo.catalogue import ENTRIES, Entry
from bitscape.zoo.checkpoints import assemble_entry, load_tokenizer, save_module, tokenizer_of
from bitscape.zoo.tasks import TASKS, block_matrices

ENCODED = 400_000
"""Images encoded once; a budget beyond it starts over with fresh noise or dropout."""

BATCH = 64
IMAGES = {"var": 400_000, "dit": 800_000, "mar": 400_000, "unet": 800_000, "llamagen": 400_000}
RATE = 5e-3

DATA_SEEDS = {"autoencoder": 1, "encode": 2, "observer": 3, "sharpen": 4}
"""Disjoint streams of the endless data set. Evaluation draws from another still."""


@dataclass(frozen=True)
class Workshop:
    """Where training keeps its state, and where finished weights go."""

    workspace: Path
    weights: Path
    progress: Progress | None = None

    def run(self, name: str) -> Run:
        """The state and log of one stage."""
        return Run(self.workspace / name)


def train_autoencoder(shop: Workshop, steps: int = 2600) -> None:
    """Encoder, codebook and decoder together; then the latents' standardisation."""
    torch.manual_seed(0)
    tokenizer = autoencoder.build()
    tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    nn.init.normal_(tokenizer.quantizer.embedding.weight, std=0.3)
    task = autoencoder.Reconstruction(
        tokenizer, DATA_SEEDS["autoencoder"], BATCH, revive_until=int(0.6 * steps)
    )
    plan = Plan(steps=steps, decay=0.3, average=0.95, save_seconds=60)
    averaged = train(
        task, adamw(tokenizer, 2e-3, decay=1e-4), plan, shop.run("autoencoder"), shop.progress
    )
    assert isinstance(averaged, MultiScaleTokenizer)
    autoencoder.standardise(averaged.eval(), DATA_SEEDS["autoencoder"])
    save_module(averaged, shop.weights / "autoencoder.safetensors")


def sharpen(shop: Workshop, steps: int = 4000) -> None:
    """Train the decoder further on frozen latents and tokens."""
    tokenizer = load_tokenizer(shop.weights)
    task = autoencoder.Sharpening(tokenizer, DATA_SEEDS["sharpen"], BATCH)
    plan = Plan(steps=steps, decay=0.5, save_seconds=60)
    optimizers = adamw(task.module, 1.5e-3, decay=1e-4)
    averaged = train(task, optimizers, plan, shop.run("sharpen"), shop.progress)
    task.module.load_state_dict(averaged.state_dict())
    save_module(tokenizer, shop.weights / "autoencoder.safetensors")


def train_observer(shop: Workshop, steps: int = 2000) -> None:
    """The evaluation network, on real and reconstructed images."""
    torch.manual_seed(0)
    module = observer.Observer()
    tokenizer = load_tokenizer(shop.weights)
    task = observer.Observation(module, tokenizer, DATA_SEEDS["observer"], 96)
    averaged = train(
        task, adamw(module, 2e-3), Plan(steps=steps), shop.run("observer"), shop.progress
    )
    save_module(averaged, shop.weights / "observer.safetensors")


def encode(shop: Workshop) -> None:
    """Tokens and latents of the training images, for both families."""
    folder = shop.workspace / "encoded"
    encoded.encode(load_tokenizer(shop.weights), DATA_SEEDS["encode"], ENCODED, folder)


def fit_raster(shop: Workshop, images: int = 6000) -> None:
    """The flat codebook of the raster families, and the tokens of the encoded images in it."""
    shared, folder = load_tokenizer(shop.weights), shop.workspace / "encoded"
    data = encoded.Encoded.open(folder)
    tokenizer, turn = raster.fit(shared, data.features(shared, slice(images)))
    save_module(raster.own_parts(tokenizer), shop.weights / "raster.safetensors")
    parts = (data.features(shared, rows) for rows in data.chunks())
    tokens = [tokenizer.nearest(raster.turned(turn, f)).short().numpy() for f in parts]
    np.save(folder / "raster.npy", np.concatenate(tokens))


def train_generator(shop: Workshop, entry: Entry) -> None:
    """One generator, on the same images in the same order as every other size."""
    torch.manual_seed(entry.seed)
    pipeline = assemble_entry(entry, tokenizer_of(entry, shop.weights))
    module = pipeline.network.train()
    data = encoded.Encoded.open(shop.workspace / "encoded")
    task = TASKS[entry.family](pipeline, data, entry.seed, BATCH)
    optimizers = muon(module, block_matrices(pipeline), RATE)
    plan = Plan(steps=IMAGES[entry.family] // BATCH)
    averaged = train(task, optimizers, plan, shop.run(entry.name), shop.progress)
    save_module(averaged, shop.weights / f"{entry.name}.safetensors")


def stages() -> dict[str, Callable[[Workshop], None]]:
    """Every stage by name, in an order that satisfies their dependencies."""
    fixed: dict[str, Callable[[Workshop], None]] = {
        "autoencoder": train_autoencoder,
        "encode": encode,
        "sharpen": sharpen,
        "raster": fit_raster,
        "observer": train_observer,
    }
    trained = [entry for entry in ENTRIES.values() if not entry.twin]
    return fixed | {entry.name: _generator_stage(entry) for entry in trained}


def _generator_stage(entry: Entry) -> Callable[[Workshop], None]:
    def stage(shop: Workshop) -> None:
        train_generator(shop, entry)

    return stage
