"""The offline evaluation protocol: held-out `shapes`, seen by the zoo's own observer."""

from torch import Tensor

from bitscape.evaluation import EvaluationProtocol
from bitscape.models import MaskGITTokenizer, MultiScaleTokenizer, VQTokenizer
from bitscape.structure import Pipeline
from bitscape.zoo.checkpoints import load_observer
from bitscape.zoo.shapes import CLASSES, draw

HELD_OUT = 9
"""The stream of the data set that no training reads."""


def shapes_protocol(real: int = 5000) -> EvaluationProtocol:
    """The protocol "shapes" with `real` reference images."""
    return EvaluationProtocol(
        name="shapes",
        extractor=load_observer(),
        draw=held_out,
        encode=real_latents,
        num_classes=len(CLASSES),
        real=real,
    )


def held_out(indices: range) -> tuple[Tensor, Tensor]:
    """Images in [-1, 1] and labels that were in no training set."""
    batch = draw(HELD_OUT, indices.start, len(indices))
    return batch.images, batch.labels


def real_latents(pipeline: Pipeline, images: Tensor) -> Tensor:
    """The encoder's latents, in the units of the pipeline's family and never rounded to codes.

    All families are so measured against the same real latents; what the codebook costs a discrete
    one is part of its distance.
    """
    tokenizer = pipeline.tokenizer
    if pipeline.adapter.discrete:
        assert isinstance(tokenizer, MultiScaleTokenizer | VQTokenizer | MaskGITTokenizer)
        return tokenizer.features(images)
    assert isinstance(tokenizer, MultiScaleTokenizer)
    return tokenizer.latents(images)


def rounded_latents(pipeline: Pipeline, images: Tensor) -> Tensor:
    """The best latents that a discrete model can emit: those of the images' own tokens."""
    tokenizer = pipeline.tokenizer
    if isinstance(tokenizer, VQTokenizer):
        return tokenizer.lookup(tokenizer.tokens(images))
    assert isinstance(tokenizer, MultiScaleTokenizer)
    return tokenizer.quantizer.encode(tokenizer.features(images))[1][-1]
