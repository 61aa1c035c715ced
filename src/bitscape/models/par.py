"""PAR: LlamaGen that writes one token of every region of the image in the same step.

Wang et al., "Parallelized Autoregressive Visual Generation", arXiv 2412.15119. The network is
LlamaGen's with `regions - 1` learned embeddings; `arrangement.py` says which cell stands where.
"""

from bitscape.models.family import Family
from bitscape.models.llamagen import (
    RELEASED,
    WIDTHS,
    LlamaGen,
    LlamaGenAdapter,
    LlamaGenConfig,
)
from bitscape.models.vq import VQ_LAYOUT, VQTokenizer, tiny_vq, vq16

GUIDANCE = {"XL-4x": 1.5, "XXL-4x": 1.435, "3B-4x": 1.345, "3B-16x": 1.5}
"""The published sizes, each with its strength of guidance."""


def _config(size: str) -> LlamaGenConfig:
    width, regions = size.removesuffix("x").split("-")
    return LlamaGenConfig(*WIDTHS[width], side=24, regions=int(regions))


PAR_FAMILY = Family(
    name="par",
    style="autoregressive",
    sizes={size: _config(size) for size in GUIDANCE},
    tiny_config=LlamaGenConfig(
        16, 2, 2, num_classes=10, vocabulary=32, side=4, regions=4, hidden_multiple=8
    ),
    tiny_tokenizer=lambda config: VQTokenizer(tiny_vq(config.vocabulary)),
    config=LlamaGenConfig,
    network=LlamaGen,
    adapter=lambda config, tokenizer: LlamaGenAdapter(config, tokenizer, "par"),
    tokenizer=lambda config: VQTokenizer(vq16()),
    sampler={"guidance": 1.5, "top_k": 0, "top_p": 1.0, "temperature": 1.0},
    samplers={size: {"guidance": guidance} for size, guidance in GUIDANCE.items()},
    layouts=(RELEASED,),
    tokenizer_layouts=(VQ_LAYOUT,),
)
