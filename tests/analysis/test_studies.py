"""The studies on models whose answers are known: the teacher itself, and one broken layer."""

import copy

import numpy as np
import pytest
import torch

from bitscape.analysis import Subject, analyze, bisection, separable, step_study, tolerance_study
from bitscape.analysis.bisect import units_of
from bitscape.analysis.tolerance import accumulation_study
from bitscape.analysis.trace import run
from bitscape.recipes import apply, find_recipe

pytestmark = pytest.mark.unchecked


def broken(teacher: Subject, site: str):
    """A copy with one layer that adds noise to its weight."""
    student = copy.deepcopy(teacher.pipeline)
    weight = student.network.get_submodule(site).weight
    generator = torch.Generator().manual_seed(1)
    weight.data += weight.std() * torch.randn(weight.shape, generator=generator)
    return student


@pytest.mark.parametrize("teacher", ["llamagen", "mar"], indirect=True)
def test_a_model_errs_nowhere_against_itself(teacher: Subject) -> None:
    found = analyze(teacher, copy.deepcopy(teacher.pipeline))
    steps = found["steps"]
    for key in ("feature", "reconstruction", "drift"):
        assert set(steps[key]) == {0.0}
    assert {e for row in found["layers"]["errors"] for e in row if e is not None} == {0.0}
    assert found["first_bad"]["first_bad"] is None
    assert found["tolerance"]["losses"] and found["accumulation"]["share"] >= 0.1
    assert len(found["activations"]["sites"]) <= 9
    assert all(study["summary"].endswith(".") for study in found.values())


@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_bisection_finds_the_layer_that_is_broken(teacher: Subject, place: float) -> None:
    sites = [name for name, _ in units_of(teacher.pipeline, single=True).items()]
    weighted = [
        name for name in sites if hasattr(teacher.pipeline.network.get_submodule(name), "weight")
    ]
    site = weighted[round(place * (len(weighted) - 1))]
    student = broken(teacher, site)
    assert separable(teacher.pipeline, student, {})
    found = bisection(teacher, student, single=True)
    assert found.first_bad == site
    assert found.tested[0] == 0.0
    blocks = bisection(teacher, student, single=False)
    modules = units_of(teacher.pipeline, single=False)[blocks.first_bad]
    assert any(site == name or site.startswith(f"{name}.") for name in modules)
    assert bisection(teacher, student, single=True, threshold=1e9).first_bad is None


def test_folded_models_are_not_taken_apart_by_layer(diffusion: Subject) -> None:
    for name, single in (("rtn-w4a16", True), ("smoothquant-w4a8", False)):
        student = copy.deepcopy(diffusion.pipeline)
        report = apply(find_recipe(name), student)
        assert separable(diffusion.pipeline, student, report) is single
        found = bisection(diffusion, student, single=single)
        free = step_study(diffusion, diffusion.beside(student), [])[0].feature
        # With everything replaced the hybrid is the student.
        assert found.tested[len(found.units)] == pytest.approx(np.mean(free), rel=0.5)


def test_a_linear_sampler_answers_noise_in_proportion(diffusion: Subject, monkeypatch) -> None:
    # A network that ignores its inputs makes the result linear in the noise.
    path = run(diffusion)
    monkeypatch.setattr(Subject, "answer", lambda self, call: path.outputs[0])
    found = tolerance_study(diffusion, run(diffusion))
    assert found.pearson == pytest.approx(1.0)
    assert found.spearman == pytest.approx(1.0)
    assert found.flat == 0.0
    later = accumulation_study(diffusion, run(diffusion), 10.0)
    assert later.noisy == np.ceil(0.1 * len(path)) and later.errors[0] > 0


def test_studies_that_are_kept_are_not_made_again(diffusion: Subject, tmp_path) -> None:
    first = analyze(diffusion, None, work=tmp_path)
    assert set(first) == {"tolerance", "accumulation", "activations"}
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert analyze(diffusion, None, work=tmp_path) == first
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
