from pathlib import Path

import pytest

from bitscape.artefacts.folder import partial_path, whole_folder
from bitscape.artefacts.workspace import finish_interrupted, workspace


class Killed(BaseException):
    """What a kill does to the flow of control: no handler for errors runs."""


def interrupt(out: Path, fingerprint: str) -> None:
    with pytest.raises(Killed), workspace(out, fingerprint) as work:
        (work / "progress").write_text(fingerprint)
        raise Killed


def test_progress_of_the_same_job_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupt(out, "a")
    with workspace(out, "a") as work:
        assert (work / "progress").read_text() == "a"
    assert not partial_path(out).exists()


def test_progress_of_another_job_is_refused_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupt(out, "a")
    with (
        pytest.raises(ValueError, match=r"out\.partial holds unfinished work of another job"),
        workspace(out, "b"),
    ):
        pytest.fail("too late")
    with workspace(out, "a") as work:
        assert (work / "progress").read_text() == "a"


def test_a_workspace_in_which_nothing_was_finished_passes_to_another_job(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Killed), workspace(out, "a") as work:
        (work / "begun").mkdir()
        raise Killed
    with workspace(out, "b") as work:
        assert list(work.iterdir()) == []


def test_a_failure_before_any_progress_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="refused"), workspace(tmp_path / "out", "a"):
        raise ValueError("refused")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_what_was_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(OSError, match="full"), workspace(out, "a") as work:
        (work / "progress").write_text("a")
        raise OSError("full")
    with workspace(out, "a") as work:
        assert (work / "progress").read_text() == "a"


def test_a_kill_while_the_fingerprint_is_written_is_no_obstacle(tmp_path: Path) -> None:
    out = tmp_path / "out"
    partial_path(out).mkdir()
    (partial_path(out) / ".fingerprint.7.part").write_text("half")
    with workspace(out, "a") as work:
        assert work.is_dir()


def test_a_folder_of_the_user_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    partial_path(out).mkdir()
    (partial_path(out) / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match="thesis.tex"), workspace(out, "a"):
        pass
    assert (partial_path(out) / "thesis.tex").exists()


def test_two_processes_do_not_share_a_workspace(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        workspace(out, "a"),
        pytest.raises(ValueError, match="another process"),
        workspace(out, "a"),
    ):
        pass


def test_a_kill_between_rename_and_clean_up_counts_as_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Killed), workspace(out, "a"):
        with whole_folder(out) as staging:
            (staging / "file").write_text("x")
        raise Killed
    assert not finish_interrupted(out, "b")
    assert finish_interrupted(out, "a")
    assert not partial_path(out).exists()
    assert (out / "file").exists()
    assert not finish_interrupted(out, "a")
