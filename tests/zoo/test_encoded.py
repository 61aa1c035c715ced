"""Encoded training images: resumed, and refused until they are all there."""

from pathlib import Path

import numpy as np
import pytest

from bitscape.models import MultiScaleTokenizer
from bitscape.zoo import encoded
from bitscape.zoo.checkpoints import load_tokenizer
from bitscape.zoo.encoded import DONE, Encoded, encode


@pytest.fixture(scope="module")
def tokenizer() -> MultiScaleTokenizer:
    return load_tokenizer()


def test_a_resumed_set_equals_one_encoded_at_once(
    tokenizer: MultiScaleTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded, "CHUNK", 4)
    whole = encode(tokenizer, 2, 8, tmp_path / "whole")
    encode(tokenizer, 2, 8, tmp_path / "stopped")
    for name in ("tokens", "latents", "labels"):
        rows = np.load(tmp_path / "stopped" / f"{name}.npy", mmap_mode="r+")
        rows[4:] = 0
        rows.flush()
    (tmp_path / "stopped" / DONE).write_text("4")
    resumed = encode(tokenizer, 2, 8, tmp_path / "stopped")
    assert np.array_equal(whole.tokens, resumed.tokens)
    assert np.array_equal(whole.latents, resumed.latents)
    assert np.array_equal(whole.labels, resumed.labels)


def test_a_folder_without_images_names_the_stage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train the stage encode first"):
        Encoded.open(tmp_path)


def test_a_set_that_is_half_encoded_is_refused(
    tokenizer: MultiScaleTokenizer, tmp_path: Path
) -> None:
    encode(tokenizer, 2, 8, tmp_path)
    (tmp_path / DONE).write_text("4")
    with pytest.raises(ValueError, match="holds 4 of 8 encoded images: train the stage encode"):
        Encoded.open(tmp_path)
