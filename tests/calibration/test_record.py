"""Recorded calls: what replays them, what is kept, and the set as a value on disk."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitscape.calibration import CalibrationSet, record
from bitscape.models import FAMILIES
from bitscape.structure import Call, Pipeline, invoke


def test_replayed_outputs_are_those_of_the_trajectory(pipeline: Pipeline) -> None:
    outputs: list[Tensor] = []
    labels = torch.tensor([0, 1])
    with torch.no_grad():
        pipeline.latents(labels, seed=7, tap=lambda call, out: outputs.append(out.clone()))
        calls = record(pipeline, labels, seed=7).calls
        replayed = [invoke(pipeline.network, pipeline.clocks, call) for call in calls]
    joined = torch.cat([out.flatten(1) for out in outputs], dim=1)
    torch.testing.assert_close(
        torch.cat([out.flatten(1) for out in replayed], dim=1), joined, rtol=1e-4, atol=1e-5
    )


def test_recording_is_deterministic_and_told_apart(pipeline: Pipeline) -> None:
    first, again = (record(pipeline, [0, 1], seed=3).identity for _ in range(2))
    assert first == again
    assert record(pipeline, [0, 1], seed=4).identity != first
    assert record(pipeline, [0, 2], seed=3).identity != first


def test_batches_hold_the_same_images(pipeline: Pipeline) -> None:
    whole = record(pipeline, [0, 1], seed=3, batch=2, guidance=0)
    parts = record(pipeline, [0, 1], seed=3, batch=1, guidance=0)
    count = len(whole.calls)
    for i, call in enumerate(whole.calls):
        halves = [parts.calls[i].args[0], parts.calls[i + count].args[0]]
        torch.testing.assert_close(torch.cat(halves), call.args[0], rtol=1e-4, atol=1e-5)


def test_kept_calls_cover_the_trajectory(pipeline: Pipeline) -> None:
    if pipeline.adapter.style != "diffusion":
        pytest.skip("one call replays a whole sequence")
    found = record(pipeline, range(8), seed=0, batch=1, keep=5)
    assert len(found.calls) == 8 * 5
    steps = {int(call.step) for call in found.calls}
    whole = sorted(int(call.step) for call in record(pipeline, [0], seed=0).calls)
    assert len(steps) > 0.8 * len(whole)
    first = sorted(int(call.step) for call in found.calls[:5])
    assert first[-1] - first[0] >= 0.7 * (whole[-1] - whole[0])
    with pytest.raises(ValueError, match="got 0"):
        record(pipeline, [0], seed=0, keep=0)


def test_saved_set_comes_back_whole(calibration: CalibrationSet, tmp_path: Path) -> None:
    calibration.save(tmp_path / "set")
    loaded = CalibrationSet.load(tmp_path / "set")
    assert loaded.identity == calibration.identity
    assert loaded.provenance == calibration.provenance
    assert all(map(same, loaded.calls, calibration.calls))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_edited_set_is_refused(calibration: CalibrationSet, tmp_path: Path) -> None:
    calibration.save(tmp_path / "set")
    description = tmp_path / "set" / "calibration.json"
    content = json.loads(description.read_text())
    content["provenance"]["seed"] = 8
    description.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="record it again"):
        CalibrationSet.load(tmp_path / "set")


def same(one: Call, other: Call) -> bool:
    pairs = zip((one.step, *one.args), (other.step, *other.args), strict=True)
    return one.net == other.net and all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs
    )


@pytest.mark.parametrize(("samples", "batches"), [(1, 1), (2, 1), (3, 2), (6, 3), (99, 3)])
def test_the_first_trajectories_are_those_of_a_smaller_recording(
    samples: int, batches: int
) -> None:
    pipeline = FAMILIES["dit"].tiny()
    whole = record(pipeline, [0, 1, 2, 3, 4, 5], seed=7, batch=2, keep=3)
    few = record(pipeline, list(range(2 * batches)), seed=7, batch=2, keep=3)
    found = whole.first(samples)
    assert found.identity == few.identity


def test_chosen_calls_have_no_first_trajectories() -> None:
    whole = record(FAMILIES["dit"].tiny(), [0, 1, 2, 3], seed=7, batch=2, keep=3)
    with pytest.raises(ValueError, match="5 calls are not those of 2 batches"):
        CalibrationSet(whole.calls[:5], whole.provenance).first(1)


def test_mixed_samples_are_the_same_in_calls_of_several_steps() -> None:
    whole = record(FAMILIES["dit"].tiny(), [0, 1, 2, 3], seed=7, batch=2, keep=4)
    found = whole.mixed(3)
    assert [len(call.args[0]) for call in found.calls] == [len(c.args[0]) for c in whole.calls]
    assert any(len(call.step.unique()) > 1 for call in found.calls)
    assert found.images == whole.images
    before, after = (
        sorted(float(row.sum()) for call in one.calls for row in call.args[0])
        for one in (whole, found)
    )
    assert before == after
    assert found.identity == whole.mixed(3).identity != whole.mixed(4).identity


def test_mixed_samples_are_dealt_to_calls_of_fewer_images_where_all_can_be() -> None:
    whole = record(FAMILIES["dit"].tiny(), [0, 1, 2, 3], seed=7, batch=2, keep=4)
    found = whole.mixed(3, images=1)
    assert (whole.images, found.images) == (2, 1)
    assert len(found.calls) == 2 * len(whole.calls)
    assert {call.samples for call in found.calls} == {whole.calls[0].samples // 2}
    tokens = record(FAMILIES["var"].tiny(), [0, 1, 2, 3], seed=7, batch=2)
    assert tokens.mixed(3, images=1).images == 2
