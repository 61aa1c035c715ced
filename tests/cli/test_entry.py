"""The frame of the command: help, exit codes and one-line errors."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitscape.cli import entry, main

Command = Callable[..., Any]
COMMANDS = list(entry.SUMMARIES)


def one_line(answer: Any, code: int = 2) -> str:
    """The error of a command that printed nothing else."""
    assert answer.code == code, answer.err
    assert answer.out == ""
    lines = answer.err.strip().splitlines()
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("bitscape: ")
    return lines[0]


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys; from bitscape.cli import main; code = main(['--help']);"
        "sys.exit(code or ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, bitscape: Command) -> None:
    answer = bitscape(name, "--help")
    assert answer.code == 0
    assert "Usage: bitscape" in answer.out


def test_no_words_give_help(bitscape: Command) -> None:
    assert "Usage: bitscape" in bitscape().out


def test_unknown_command_and_option(bitscape: Command) -> None:
    assert "quantise" in one_line(bitscape("quantise"))
    assert "--frobnicate" in one_line(bitscape("models", "--frobnicate"))
    assert "--recipe" in one_line(bitscape("quantize", "zoo:var-xs"))


def test_a_group_without_its_command_says_what_to_write(bitscape: Command) -> None:
    assert "write `bitscape zoo train STAGE...`, of autoencoder" in one_line(bitscape("zoo"))


def test_inspect_says_what_is_no_artefact(bitscape: Command, tmp_path: Path) -> None:
    (tmp_path / "g.png").write_bytes(b"")
    for place, words in (
        (tmp_path / "none", "none does not exist: give the folder that"),
        (tmp_path / "g.png", "g.png is a file: give the folder that"),
        ("zoo:var-xs", "zoo:var-xs is no artefact: quantize it, then inspect the folder"),
        ("var-d16", "var-d16 is no artefact"),
    ):
        assert words in one_line(bitscape("inspect", place))


def test_bench_asks_for_a_file_before_it_times(bitscape: Command, tmp_path: Path) -> None:
    answer = bitscape("bench", "zoo:var-xs", "--out", tmp_path)
    assert "is a folder: name a file in it" in one_line(answer)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("a reason\nin two lines"), 2, "a reason in two lines"),
        (FileExistsError("d already exists"), 2, "d already exists"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 2, "free some and run the same"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x: Permission denied"),
        (KeyboardInterrupt(), 1, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_errors_become_one_line(
    error: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def application(asked: str | None) -> Callable[..., None]:
        def fail(**_: object) -> None:
            raise error

        return fail

    monkeypatch.setattr(entry, "application", application)
    assert main(["models"]) == code
    captured = capsys.readouterr()
    assert captured.err.strip().count("\n") == 0
    assert words in captured.err


def test_our_own_faults_show_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, "application", lambda asked: lambda **_: 1 // 0)
    assert main(["models"]) == 1
    captured = capsys.readouterr().err
    assert "Traceback" in captured
    assert "internal error, please report it" in captured


def test_module_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bitscape", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("bitscape ")
