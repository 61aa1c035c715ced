"""Features of real images, computed once and kept: what generated images are compared with."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from bitscape.evaluation.fingerprint import fingerprint, tensor_bytes
from bitscape.evaluation.frechet import Statistics, statistics
from bitscape.evaluation.latents import LatentScale
from bitscape.evaluation.protocol import EvaluationProtocol, Report, ranges, silent
from bitscape.files import read_tensors, write_tensors
from bitscape.structure import Pipeline


@dataclass(frozen=True)
class Reference:
    """Real images as the extractor and the tokenizer see them."""

    features: Float[Tensor, "sample feature"]
    statistics: Statistics
    scale: LatentScale
    latents: Statistics


def real_reference(
    pipeline: Pipeline,
    protocol: EvaluationProtocol,
    folder: Path,
    *,
    batch: int = 100,
    report: Report = silent,
) -> Reference:
    """The reference of `protocol` for the tokenizer of `pipeline`, kept in `folder`."""
    path = folder / f"{protocol_identity(pipeline, protocol)}.safetensors"
    if not path.exists():
        write_tensors(path, _measured(pipeline, protocol, batch, report))
    kept = read_tensors(path)
    return Reference(
        kept["features"],
        statistics(kept["features"]),
        LatentScale(kept["latent_mean"], kept["latent_deviation"]),
        statistics(kept["latent_features"]),
    )


def as_bytes(
    images: Float[Tensor, "batch 3 height width"],
) -> UInt8[Tensor, "batch height width 3"]:
    """Real images in [-1, 1] as uint8, rounded to the nearest grey level."""
    scaled = (images.clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


@torch.no_grad()
def protocol_identity(pipeline: Pipeline, protocol: EvaluationProtocol) -> str:
    """A digest of what decides every number but the model; data speak by their first images."""
    images, labels = protocol.draw(range(8))
    latents = protocol.encode(pipeline, images.to(pipeline.device))
    digest = hashlib.sha256(f"{protocol.name} {protocol.real} {pipeline.family}".encode())
    for tensor in (images, labels, latents):
        digest.update(tensor_bytes(tensor))
    digest.update(fingerprint(pipeline.tokenizer).encode())
    if isinstance(protocol.extractor, nn.Module):
        digest.update(fingerprint(protocol.extractor).encode())
    return digest.hexdigest()[:16]


@torch.no_grad()
def _measured(
    pipeline: Pipeline, protocol: EvaluationProtocol, batch: int, report: Report
) -> dict[str, Tensor]:
    features, latents = [], []
    for part in ranges(protocol.real, batch):
        images, _ = protocol.draw(part)
        features.append(protocol.extractor.features(as_bytes(images)).float().cpu())
        latents.append(protocol.encode(pipeline, images.to(pipeline.device)).float().cpu())
        report("features of real images", part.stop, protocol.real)
    scale = LatentScale.of(torch.cat(latents))
    return {
        "features": torch.cat(features),
        "latent_features": scale.features(torch.cat(latents)),
        "latent_mean": scale.mean,
        "latent_deviation": scale.deviation,
    }
