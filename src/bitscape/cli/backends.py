"""What `bitscape bench` measures: one model drawing images in several arithmetics."""

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitscape.api import Model
from bitscape.formats import FULL_BITS
from bitscape.runtime import FLOATS, Latency, compare, peaks, reset_peaks, resident_bytes


@dataclass(frozen=True)
class Backend:
    """A model in one arithmetic; `make` loads it afresh."""

    name: str
    scheme: str
    make: Callable[[], Model]


def backends(
    own: Callable[[], Model], full: Callable[..., Model], against: Sequence[str]
) -> list[Backend]:
    """The model itself when it is quantized, and its full precision in the floats `against`.

    `own` loads the model, `full(name, dtype=...)` the full precision called `name`. ValueError for
    a float that is not known.
    """
    unknown = [rival for rival in against if rival not in FLOATS]
    if unknown:
        raise ValueError(f"cannot bench against {unknown[0]!r}: choose of {', '.join(FLOATS)}")
    model = own()
    found = [_float(model.name, rival, full) for rival in against]
    if model.recipe is None:
        return found
    kernels = [choice.kernel for choice in model.choices]
    commonest = " + ".join(sorted(set(kernels), key=lambda one: -kernels.count(one)))
    return [Backend(commonest, model.recipe["scheme"], own), *found]


def peak_of(backend: Backend, batch: int) -> int:
    """Peak resident bytes of this process while only this backend is loaded and draws a batch."""
    gc.collect()
    reset_peaks()
    backend.make().sample(batch)
    return peaks()["peak_memory_bytes"]


def timed(models: Mapping[Backend, Model], batch: int, seconds: float) -> dict[Backend, Latency]:
    """The latency of one batch of images of each, called in turn; decoding is included."""
    calls = {backend.name: _drawing(model, batch) for backend, model in models.items()}
    latencies = compare(calls, seconds=seconds, warmup=1)
    return {backend: latencies[backend.name] for backend in models}


def row(backend: Backend, model: Model, batch: int, latency: Latency, peak: int) -> dict[str, Any]:
    """One row of the result."""
    return {
        "backend": backend.name,
        "scheme": backend.scheme,
        "batch": batch,
        "latency_ms": {"median": latency.median, "p10": latency.p10, "p90": latency.p90},
        "images_per_s": 1000 * batch / latency.median,
        "weight_bytes_resident": resident_bytes(model.pipeline.network),
        "peak_rss_bytes": peak,
    }


def subject(models: Iterable[Model]) -> dict[str, Any]:
    """What was timed: its name and size, which is null unless a float rival was timed as well."""
    names, sizes = set(), set()
    for model in models:
        names.add(model.name)
        if model.recipe is None:
            sizes.add(sum(each.numel() for each in model.pipeline.network.parameters()))
    return {"model": min(names), "parameters": min(sizes, default=None)}


def _float(name: str, rival: str, full: Callable[..., Model]) -> Backend:
    def make() -> Model:
        return full(name, dtype=FLOATS[rival])

    bits = FULL_BITS if rival == "bf16" else 2 * FULL_BITS
    return Backend(rival, f"W{bits}A{bits}", make)


def _drawing(model: Model, batch: int) -> Callable[[], object]:
    return lambda: model.sample(batch)
