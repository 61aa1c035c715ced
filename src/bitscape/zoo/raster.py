"""The flat codebook of the zoo's raster families, fitted to the latents of the shared autoencoder.

Encoder and decoder are those of every other family. What a raster token needs besides is computed,
not trained: latents are turned so that squared distance is the decoder's own (the error that a
small change makes in the picture), their codes are found by k-means, and the convolution before the
decoder is the least-squares estimate of its input from the codes of a cell and its neighbours.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models import MultiScaleTokenizer, VQConfig, VQTokenizer
from bitscape.zoo.autoencoder import CONFIG

VOCABULARY = 1024
ROUNDS = 12
PROBED = 64
NUDGE = 0.05

Map = Float[Tensor, "image channel height width"]
Mapped = Float[Tensor, "image mapped_channel height width"]
Rows = Float[Tensor, "row channel"]


def build() -> VQTokenizer:
    """The raster tokenizer with fresh weights: 64 tokens of 1024 codes."""
    return VQTokenizer(
        VQConfig(CONFIG, VOCABULARY, CONFIG.latent_channels, kernel=3, normalise=False)
    )


def own_parts(tokenizer: VQTokenizer) -> nn.Module:
    """What the raster tokenizer does not share with the autoencoder."""
    return nn.ModuleDict(
        {
            "quant_conv": tokenizer.quant_conv,
            "post_quant_conv": tokenizer.post_quant_conv,
            "embedding": tokenizer.embedding,
        }
    )


def share(tokenizer: VQTokenizer, shared: MultiScaleTokenizer) -> VQTokenizer:
    """`tokenizer` with the encoder and decoder of the shared autoencoder."""
    tokenizer.encoder.load_state_dict(shared.encoder.state_dict())
    tokenizer.decoder.load_state_dict(shared.decoder.state_dict())
    return tokenizer


@torch.no_grad()
def fit(shared: MultiScaleTokenizer, f: Map, rounds: int = ROUNDS) -> tuple[VQTokenizer, Tensor]:
    """The raster tokenizer of the latent maps `f`, and the matrix that turns latents for it."""
    turn = decoder_metric(shared, f[:PROBED])
    rows = (turn @ f.flatten(2)).transpose(1, 2).flatten(0, 1)
    result = share(build(), shared)
    conv = shared.quant_conv
    assert conv.bias is not None
    assert result.quant_conv.bias is not None
    result.quant_conv.weight.copy_(torch.einsum("oc,cikl->oikl", turn, conv.weight))
    result.quant_conv.bias.copy_(turn @ conv.bias)
    result.embedding.weight.copy_(k_means(rows, result.config.vocabulary, rounds))
    # Rounded now, as they will be stored, so that what follows is fitted to the codes in use.
    for parameter in result.parameters():
        parameter.copy_(parameter.to(torch.bfloat16))
    codes = torch.cat([result.lookup(result.nearest(turned(turn, part))) for part in f.split(256)])
    fit_convolution(result.post_quant_conv, codes, shared.post_quant_conv(f))
    return result, turn


def turned(turn: Float[Tensor, "channel channel"], f: Map) -> Map:
    """The matrix `turn` on the channels of each cell."""
    return torch.einsum("oc,bchw->bohw", turn, f)


@torch.no_grad()
def decoder_metric(shared: MultiScaleTokenizer, f: Map) -> Float[Tensor, "channel channel"]:
    """M^1/2, where e^T M e is the mean squared change of the picture for a change e of one cell.

    M is the mean over images of J^T J, with J by finite differences at a random cell of each.
    """
    drawn = torch.Generator().manual_seed(0)
    count, side = len(f), f.shape[-1]
    y, x = torch.randint(side, (2, count), generator=drawn)
    before, columns = shared.decode(f), []
    for channel in range(f.shape[1]):
        nudged = f.clone()
        nudged[torch.arange(count), channel, y, x] += NUDGE
        columns.append(((shared.decode(nudged) - before) / NUDGE).flatten(1))
    J = torch.stack(columns, dim=1)
    values, vectors = torch.linalg.eigh((J @ J.transpose(1, 2)).mean(0))
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


@torch.no_grad()
def k_means(rows: Rows, count: int, rounds: int) -> Float[Tensor, "code channel"]:
    """`count` means of `rows` by Lloyd's algorithm; a mean that nobody chose moves to a row."""
    drawn = torch.Generator().manual_seed(0)
    means = rows[torch.randperm(len(rows), generator=drawn)[:count]].clone()
    for _ in range(rounds):
        squares = means.square().sum(1)
        nearest = torch.cat(
            [torch.addmm(squares, part, means.T, alpha=-2).argmin(1) for part in rows.split(8192)]
        )
        members = torch.bincount(nearest, minlength=count)[:, None]
        sums = torch.zeros_like(means).index_add_(0, nearest, rows)
        spare = rows[torch.randint(len(rows), (count,), generator=drawn)]
        means = torch.where(members > 0, sums / members.clamp_min(1), spare)
    return means


@torch.no_grad()
def fit_convolution(conv: nn.Conv2d, inputs: Map, outputs: Mapped) -> None:
    """Set weight and bias of `conv` to the least-squares map from `inputs` to `outputs`."""
    size = conv.kernel_size[0]
    patches = functional.unfold(inputs, size, padding=size // 2).transpose(1, 2).flatten(0, 1)
    known = functional.pad(patches, (0, 1), value=1.0).double()
    wanted = outputs.permute(0, 2, 3, 1).flatten(0, 2).double()
    solution = torch.linalg.lstsq(known.T @ known, known.T @ wanted).solution.T
    conv.weight.copy_(solution[:, :-1].reshape(conv.weight.shape))
    assert conv.bias is not None
    conv.bias.copy_(solution[:, -1])
