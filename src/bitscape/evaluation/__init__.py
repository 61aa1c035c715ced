"""From generated images to numbers: features, statistics, distances, losses and agreement."""

from bitscape.evaluation.agreement import Agreement, agreement
from bitscape.evaluation.evaluate import evaluate, sample_folder
from bitscape.evaluation.fingerprint import fingerprint, sampler_fingerprint
from bitscape.evaluation.floor import reconstruction_floor
from bitscape.evaluation.frechet import Statistics, frechet_distance, statistics
from bitscape.evaluation.generate import Run, Shard, generate
from bitscape.evaluation.held_out import encoded_images, images_identity
from bitscape.evaluation.latents import LatentScale
from bitscape.evaluation.losses import Estimate, estimate, paired, teacher_forced_losses
from bitscape.evaluation.manifold import PrecisionRecall, precision_recall
from bitscape.evaluation.protocol import (
    Draw,
    Encode,
    EvaluationProtocol,
    Extractor,
    Report,
    Settings,
    balanced_labels,
    silent,
)
from bitscape.evaluation.reference import Reference, as_bytes, real_reference
from bitscape.evaluation.similarity import psnr, squared_error, ssim

__all__ = [
    "Agreement",
    "Draw",
    "Encode",
    "Estimate",
    "EvaluationProtocol",
    "Extractor",
    "LatentScale",
    "PrecisionRecall",
    "Reference",
    "Report",
    "Run",
    "Settings",
    "Shard",
    "Statistics",
    "agreement",
    "as_bytes",
    "balanced_labels",
    "encoded_images",
    "estimate",
    "evaluate",
    "fingerprint",
    "frechet_distance",
    "generate",
    "images_identity",
    "paired",
    "precision_recall",
    "psnr",
    "real_reference",
    "reconstruction_floor",
    "sample_folder",
    "sampler_fingerprint",
    "silent",
    "squared_error",
    "ssim",
    "statistics",
    "teacher_forced_losses",
]
