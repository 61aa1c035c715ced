"""An artefact is the pipeline that was saved: same outputs, same bytes, nothing else needed."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bitscape import artefacts
from bitscape.artefacts.save import network_tensors
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, insert, quantized_sites
from bitscape.quantizers import RANGES, quantize_weight, weight_grid
from bitscape.structure import Pipeline

SCHEMES = ["W8A8", "W4A16", "W3A16,asym", "W4A8@g8", "FP8_DYNAMIC", "W4A16/head=W16A16"]
CASES = [("var", scheme) for scheme in SCHEMES] + [(name, "W4A8@g8") for name in FAMILIES]


Rounded = Callable[[str, str], Pipeline]


@pytest.mark.parametrize(("family", "scheme"), dict.fromkeys(CASES))
def test_loaded_pipeline_samples_the_same_images(
    family: str, scheme: str, rounded: Rounded, tmp_path: Path
) -> None:
    pipeline = rounded(family, scheme)
    artefacts.save(pipeline, {"name": "x"}, {"layers": []}, tmp_path / "a")
    loaded, report = artefacts.load(tmp_path / "a")
    assert report["layers"] == []
    assert torch.equal(loaded.sample([1, 2], seed=3), pipeline.sample([1, 2], seed=3))
    ours, theirs = network_tensors(pipeline.network), network_tensors(loaded.network)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_every_field_of_the_normal_form_is_kept(tmp_path: Path) -> None:
    pipeline = FAMILIES["dit"].tiny()
    insert(pipeline.network, pipeline.adapter.sites(pipeline.network), pipeline.clocks)
    generator = torch.Generator().manual_seed(0)
    scheme = parse_scheme("W4A8,static").default
    assert scheme.weight is not None and scheme.activation is not None
    for module in quantized_sites(pipeline.network).values():
        if not isinstance(module, QuantLinear):
            continue
        width = module.in_features
        module.affine(
            torch.rand(width, generator=generator) + 0.5, torch.randn(width, generator=generator)
        )
        module.rotate(4, torch.randint(2, (width,), generator=generator) * 2.0 - 1)
        module.split_off(torch.ones(module.out_features, 2), torch.ones(2, width))
        rows = torch.arange(pipeline.adapter.steps[""]) % 3
        table = torch.rand(3, 1, generator=generator) + 0.1
        module.quantize_activation(scheme.activation).set_table(table, table.round() + 100, rows)
        assert module.weight is not None
        weight = module.weight.detach()
        grid = weight_grid(weight, scheme.weight, RANGES["minmax"])
        module.set_codes(quantize_weight(weight, grid, scheme.weight), grid, scheme.weight)
    artefacts.save(pipeline, {}, {}, tmp_path / "a")
    loaded, _ = artefacts.load(tmp_path / "a")
    assert torch.equal(loaded.sample([1], seed=3), pipeline.sample([1], seed=3))


def test_same_pipeline_gives_the_same_bytes(rounded: Rounded, tmp_path: Path) -> None:
    pipeline = rounded("var", "W4A16")
    for name in ("a", "b"):
        artefacts.save(copy.deepcopy(pipeline), {"name": "x"}, {"layers": []}, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_weights_from_bfloat16_take_two_bytes(tmp_path: Path) -> None:
    pipeline = FAMILIES["var"].tiny()
    for parameter in pipeline.network.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).to(torch.float32)
    artefacts.save(pipeline, {}, {}, tmp_path / "a")
    stored = artefacts.read_tensors(tmp_path / "a" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    loaded, _ = artefacts.load(tmp_path / "a")
    assert {parameter.dtype for parameter in loaded.network.parameters()} == {torch.float32}


def test_an_edited_artefact_is_refused(rounded: Rounded, tmp_path: Path) -> None:
    out = tmp_path / "a"
    artefacts.save(rounded("dit", "W4A16"), {"name": "x"}, {"layers": []}, out)

    weights = out / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match="model.safetensors does not match the sha256"):
        artefacts.load(out)
    weights.write_bytes(content[:-5])
    with pytest.raises(ValueError, match="truncated"):
        artefacts.load(out)
    weights.write_bytes(content)
    artefacts.load(out)

    report = json.loads((out / "report.json").read_text())
    report["layers"] = [{"name": "forged"}]
    (out / "report.json").write_text(json.dumps(report))
    with pytest.raises(ValueError, match="report.json does not match its own sha256"):
        artefacts.load(out)
    (out / "report.json").unlink()
    with pytest.raises(ValueError, match="report.json is missing"):
        artefacts.load(out)


def test_other_format_version_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "a"
    artefacts.save(FAMILIES["dit"].tiny(), {}, {}, out)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"format_version": 99}))
    with pytest.raises(ValueError, match="format version 99"):
        artefacts.load(out)
