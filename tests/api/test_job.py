"""The identity of a job: what decides the result changes it, and nothing else does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bitscape.api import Model
from bitscape.api.images import folder_images
from bitscape.api.job import Job
from bitscape.models import FAMILIES
from bitscape.passes import Pace
from bitscape.recipes import Recipe

FEW = Recipe(name="few", method="topkld", scheme="W4A16", options={"steps": 1})


def job() -> Job:
    return Job(Model(FAMILIES["var"].tiny()), FEW)


def painted(folder: Path, grey: int) -> Path:
    """`folder`, which holds one image of one class."""
    (folder / "class").mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 16, 3), grey, dtype=np.uint8)).save(folder / "class" / "a.png")
    return folder


def test_equal_jobs_have_equal_fingerprints() -> None:
    assert job().fingerprint == job().fingerprint


def test_a_folder_whose_images_changed_is_another_job(tmp_path: Path) -> None:
    found = []
    for grey in (10, 10, 20):
        images = folder_images(painted(tmp_path, grey), 10)
        found.append(replace(job(), images=images).fingerprint)
    assert found[0] == found[1] != found[2]
    assert job().fingerprint not in found


@pytest.mark.parametrize(
    ("pace", "same"),
    [(Pace(save_seconds=1.0), True), (Pace(seconds=60.0), False)],
    ids=["how often state is saved", "how long training may take"],
)
def test_of_the_pace_only_the_bound_on_time_counts(pace: Pace, same: bool) -> None:
    assert (replace(job(), pace=pace).fingerprint == job().fingerprint) is same


def test_seed_recipe_and_start_count() -> None:
    begun = Model(FAMILIES["var"].tiny(seed=1))
    others = [
        replace(job(), seed=1),
        replace(job(), recipe=FEW.model_copy(update={"options": {"steps": 2}})),
        replace(job(), begun=begun),
    ]
    assert len({job().fingerprint, *(each.fingerprint for each in others)}) == 4
