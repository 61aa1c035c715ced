"""Estimates: what they say about bytes is what the scheme costs."""

import pytest

from bitscape import api
from bitscape.api.estimate import _seconds_a_row
from bitscape.calibration import record
from bitscape.formats import tensor_cost
from bitscape.models import FAMILIES
from bitscape.passes import weight_sites
from bitscape.recipes import Calibration, Recipe
from bitscape.structure import Call


def estimate(method: str, scheme: str, **options: object) -> api.Estimate:
    few = Calibration(samples=2, batch=2)
    recipe = Recipe(name="few", method=method, scheme=scheme, calibration=few, options=options)
    return api.estimate_quantize(api.Model(FAMILIES["var"].tiny()), recipe)


def test_roles_and_single_sites_are_counted_at_their_own_width() -> None:
    pipeline = FAMILIES["var"].tiny()
    recipe = Recipe(name="few", method="rtn", scheme="W4A16/ada=W8A16/blocks.0.attn.qkv=W8A16")
    plain = Recipe(name="few", method="rtn", scheme="W4A16")
    costs = []
    for each in (recipe, plain):
        total = 0
        for site, scheme in weight_sites(pipeline, each.quant_scheme()):
            weight = pipeline.network.get_submodule(site.name).get_parameter("weight")
            total += tensor_cost((weight.shape[0], weight[0].numel()), scheme).total_bytes
        costs.append(total)
    more = estimate("rtn", recipe.scheme).disk_bytes - estimate("rtn", plain.scheme).disk_bytes
    # The workspace holds the blocks while the artefact is written.
    assert more == 2 * (costs[0] - costs[1]) > 0


def test_matched_outputs_keep_full_precision_beside() -> None:
    pipeline = FAMILIES["var"].tiny()
    network = sum(t.numel() * t.element_size() for t in pipeline.network.state_dict().values())
    more = estimate("auto", "W4A16").memory_bytes - estimate("gptq", "W4A16").memory_bytes
    assert more == network


def test_training_at_several_widths_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "bitscape.api.estimate._seconds_a_row"
    monkeypatch.setattr(module, lambda pipeline, calls: 1.0)
    nested, plain = (estimate(method, "W4A16", steps=400) for method in ("matryoshka", "topkld"))
    # A teacher, then five for each of three widths: 16 against 6.
    assert nested.seconds / plain.seconds == pytest.approx(16 / 6, rel=0.01)


def test_what_reads_no_calls_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitscape.api.estimate.record", lambda *_, **__: pytest.fail("recorded"))
    assert estimate("rtn", "W4A16").seconds > 0


def test_a_training_is_asked_whether_its_start_matches_outputs() -> None:
    pipeline = FAMILIES["var"].tiny()
    network = sum(t.numel() * t.element_size() for t in pipeline.network.state_dict().values())
    found = [
        estimate("topkld", "W4A16", steps=1, start=start).memory_bytes for start in ("auto", "gptq")
    ]
    assert found[0] - found[1] == network


def test_probe_calls_run_where_the_network_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = FAMILIES["dit"].tiny()
    calls = record(pipeline, [1], seed=0, keep=1).calls
    asked = []
    monkeypatch.setattr(Call, "to", lambda call, device: asked.append(device) or call)
    assert _seconds_a_row(pipeline, calls) > 0
    assert asked == [pipeline.device] * len(calls)


def test_a_recipe_that_the_model_cannot_have_is_refused_before_any_probe() -> None:
    recipe = Recipe(name="mine", method="rtn", scheme="W4A16/haed=W8A8")
    with pytest.raises(ValueError, match="unknown role 'haed'"):
        api.estimate_quantize(api.Model(FAMILIES["var"].tiny()), recipe)
