"""One call from a model to its numbers, each with its count, its noise and full precision's."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from bitscape.evaluation.agreement import agreement
from bitscape.evaluation.fingerprint import fingerprint, sampler_fingerprint
from bitscape.evaluation.generate import Run, generate
from bitscape.evaluation.losses import estimate, paired, teacher_forced_losses
from bitscape.evaluation.measure import Numbers, over_seeds, quality, similarity
from bitscape.evaluation.protocol import (
    EvaluationProtocol,
    Report,
    Settings,
    balanced_labels,
    silent,
)
from bitscape.evaluation.reference import Reference, protocol_identity, real_reference
from bitscape.files import read_tensors, write_tensors, write_whole
from bitscape.structure import Pipeline

# Null without a partner, and the last two for families without tokens.
_NOTHING_TO_COMPARE = MappingProxyType(
    dict.fromkeys(("psnr", "ssim", "identical_images", "token_agreement", "kl"))
)


def evaluate(
    pipeline: Pipeline,
    full_precision: Pipeline | None,
    *,
    protocol: EvaluationProtocol,
    settings: Settings | None = None,
    workspace: Path | None = None,
    report: Report = silent,
) -> dict[str, Any]:
    """Everything `protocol` measures on `pipeline`, beside `full_precision` at the same seeds.

    Full precision is sampled with the sampler of `pipeline`. With None, `pipeline` is itself the
    full-precision model, and the comparisons are null. Samples and losses are kept in `workspace`
    (none: a temporary folder), under the fingerprint of what made them: a killed evaluation
    continues there, and several models share one full-precision run.
    """
    settings = settings or Settings()
    if full_precision is not None:
        full_precision = replace(full_precision, sampler=pipeline.sampler)
        _check_comparable(pipeline, full_precision)
    with _folder(workspace) as folder:
        bench = _Bench(protocol, settings, folder, report)
        ours = bench.measure(pipeline)
        theirs, compared = None, {}
        if full_precision is not None:
            theirs = bench.measure(full_precision)
            compared = bench.compare(pipeline, ours, full_precision, theirs)
        return {
            **_header(pipeline, protocol, settings),
            **_alone(pipeline, ours, theirs),
            **_NOTHING_TO_COMPARE,
            **compared,
            "full_precision": {
                "model": (full_precision or pipeline).name,
                **_alone(pipeline, theirs or ours),
            },
        }


def sample_folder(pipeline: Pipeline, settings: Settings, workspace: Path) -> Path:
    """Where `evaluate` keeps the samples and losses of `pipeline` inside `workspace`."""
    return workspace / sampler_fingerprint(pipeline, settings.shard)[:16]


@dataclass(frozen=True)
class _Measured:
    runs: list[Run]
    numbers: list[Numbers]
    losses: Tensor


@dataclass(frozen=True)
class _Bench:
    """The parts of one evaluation that do not change from model to model."""

    protocol: EvaluationProtocol
    settings: Settings
    folder: Path
    report: Report

    def measure(self, pipeline: Pipeline) -> _Measured:
        """One model on its own."""
        settings = self.settings
        home = sample_folder(pipeline, settings, self.folder)
        labels = balanced_labels(settings.n, self.protocol.num_classes)
        runs = [
            generate(
                pipeline,
                labels,
                seed=seed,
                out=home / f"seed-{seed}",
                shard=settings.shard,
                report=self.report,
            )
            for seed in settings.seeds
        ]
        reference = real_reference(
            pipeline,
            self.protocol,
            self.folder / "reference",
            batch=settings.shard,
            report=self.report,
        )
        identity = protocol_identity(pipeline, self.protocol)
        numbers = [self.numbers(run, reference, identity) for run in runs]
        return _Measured(runs, numbers, self.losses(pipeline, home, identity))

    def numbers(self, run: Run, reference: Reference, identity: str) -> Numbers:
        """The quality of one run, kept beside its samples."""
        path = run.folder / f"numbers-{len(run)}-{identity}.json"
        if not path.exists():
            found = quality(run.shards(), self.protocol, reference)
            write_whole(path, json.dumps(found).encode())
        kept: Numbers = json.loads(path.read_text())
        return kept

    def losses(self, pipeline: Pipeline, home: Path, identity: str) -> Tensor:
        """The teacher-forced losses of one model, kept beside its samples."""
        count = self.settings.losses
        path = home / f"losses-{count}-{identity}.safetensors"
        if not path.exists():
            values = teacher_forced_losses(
                pipeline,
                self.protocol.draw,
                count,
                batch=self.settings.shard,
                keep=self.folder / "reference" / identity,
                report=self.report,
            )
            write_tensors(path, {"losses": values})
        return read_tensors(path)["losses"]

    def compare(
        self, pipeline: Pipeline, ours: _Measured, full_precision: Pipeline, theirs: _Measured
    ) -> dict[str, Any]:
        """What exists only beside full precision."""
        alike = [similarity(a, b) for a, b in zip(ours.runs, theirs.runs, strict=True)]
        result = over_seeds(alike, self.settings.n)
        if pipeline.adapter.discrete:
            result |= self.agree(pipeline, full_precision)
        return result

    def agree(self, pipeline: Pipeline, full_precision: Pipeline) -> dict[str, Any]:
        """Token agreement and KL over the seeds, with the number of tokens behind each."""
        labels = balanced_labels(self.settings.paths, self.protocol.num_classes)
        found = []
        for done, seed in enumerate(self.settings.seeds, start=1):
            found.append(
                agreement(pipeline, full_precision, labels, seed=seed, batch=self.settings.shard)
            )
            self.report("agreement with full precision", done, len(self.settings.seeds))
        numbers = [{"token_agreement": a.token_agreement, "kl": a.kl} for a in found]
        return over_seeds(numbers, found[0].tokens)


def _header(pipeline: Pipeline, protocol: EvaluationProtocol, settings: Settings) -> dict[str, Any]:
    return {
        "protocol": protocol.name,
        "model": pipeline.name,
        **asdict(settings),
        "seeds": list(settings.seeds),
        "real": protocol.real,
        "sampler": dict(pipeline.sampler),
    }


def _alone(
    pipeline: Pipeline, ours: _Measured, full_precision: _Measured | None = None
) -> dict[str, Any]:
    """Quality over the seeds and the loss, with differences where full precision is given."""
    loss = {**estimate(ours.losses)._asdict(), "n": len(ours.losses)}
    if full_precision is not None:
        loss["difference"] = paired(ours.losses, full_precision.losses)._asdict()
    numbers = full_precision.numbers if full_precision else None
    return over_seeds(ours.numbers, len(ours.runs[0]), numbers) | {pipeline.adapter.loss_name: loss}


def _check_comparable(pipeline: Pipeline, full_precision: Pipeline) -> None:
    """ValueError unless both make images through the same latents and tokenizer."""
    if pipeline.family != full_precision.family:
        raise ValueError(
            f"{pipeline.name} ({pipeline.family}) and {full_precision.name} "
            f"({full_precision.family}) are of different families: "
            "compare a model with the one it was quantized from"
        )
    if fingerprint(pipeline.tokenizer) != fingerprint(full_precision.tokenizer):
        raise ValueError(
            f"{pipeline.name} and {full_precision.name} have different tokenizers: "
            "compare a model with the one it was quantized from"
        )


@contextmanager
def _folder(workspace: Path | None) -> Iterator[Path]:
    if workspace is not None:
        yield workspace
        return
    with tempfile.TemporaryDirectory(prefix="bitscape-") as folder:
        yield Path(folder)
