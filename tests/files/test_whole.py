"""Files and folders appear whole or not at all."""

import os
from pathlib import Path

import pytest

from bitscape.files import move_whole, whole, whole_file, whole_folder, write_whole


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_made_with_the_folders_above_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b", b"new")
    assert (tmp_path / "a" / "b").read_bytes() == b"new"
    assert listed(tmp_path / "a") == ["b"]


def test_a_failure_leaves_the_file_that_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as part:
        part.write_bytes(b"ne")
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert listed(tmp_path) == ["a"]


def test_a_folder_is_not_taken_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError, match="a is a folder: name a file in it"):
        write_whole(tmp_path / "a", b"new")
    assert listed(tmp_path / "a") == [] and listed(tmp_path) == ["a"]


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "a") as part:
        (part / "x").write_text("x")
        raise KeyboardInterrupt
    assert listed(tmp_path) == []


def test_a_folder_appears_with_all_that_is_in_it(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a") as part:
        (part / "inner").mkdir()
        (part / "inner" / "x").write_text("x")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "inner" / "x").read_text() == "x"
    assert listed(tmp_path) == ["a"]


def test_a_folder_takes_the_place_of_nothing(tmp_path: Path) -> None:
    for path in (tmp_path / "empty", tmp_path / "full"):
        path.mkdir()
    (tmp_path / "full" / "x").write_text("x")
    for name in ("empty", "full"):
        with pytest.raises(FileExistsError, match=name), whole_folder(tmp_path / name):
            pass
    assert (tmp_path / "full" / "x").read_text() == "x"
    assert listed(tmp_path) == ["empty", "full"]


def test_all_is_on_the_disk_before_the_move_and_the_list_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[str, bool]] = []

    def note(path: Path) -> None:
        flushed.append((path.name, (tmp_path / "goal").exists()))

    monkeypatch.setattr(whole, "_flush", note)
    (tmp_path / "part" / "inner").mkdir(parents=True)
    (tmp_path / "part" / "inner" / "x").write_text("x")
    move_whole(tmp_path / "part", tmp_path / "goal")
    *before, last = flushed
    assert {name for name, there in before if not there} == {"part", "inner", "x"}
    assert last == (tmp_path.name, True)


def test_two_processes_do_not_write_one_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whole_file(tmp_path / "a") as mine:
        monkeypatch.setattr(os, "getpid", lambda: 0)
        with whole_file(tmp_path / "a") as theirs:
            assert mine != theirs
            theirs.write_bytes(b"theirs")
        mine.write_bytes(b"mine")
    assert (tmp_path / "a").read_bytes() == b"mine"
