import os
from pathlib import Path

import pytest

from bitscape.artefacts.folder import partial_path, whole_folder


def test_folder_appears_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with whole_folder(out) as staging:
        (staging / "a").write_text("a")
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["a"]
    assert not partial_path(out).exists()


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(OSError, match="full"), whole_folder(out) as staging:
        (staging / "a").write_text("a")
        raise OSError("full")
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("x")
    with pytest.raises(FileExistsError, match="already exists"), whole_folder(out):
        pass
    assert os.listdir(out) == ["precious"]  # noqa: PTH208


def test_rest_of_a_killed_attempt_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    stale = partial_path(out) / "artefact"
    stale.mkdir(parents=True)
    (stale / "half").write_text("x")
    with whole_folder(out) as staging:
        assert list(staging.iterdir()) == []
    assert list(out.iterdir()) == []
