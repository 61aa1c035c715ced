"""Commands on a zoo of random weights, called in this process or in one of their own."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bitscape.cli import main

SCRIPT = Path(__file__).with_name("untrained_zoo.py")


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout read as JSON."""
        assert self.out, self.err
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture
def bitscape(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """A function that runs one command line here."""
    for module, name, stand_in in runpy.run_path(str(SCRIPT))["STAND_INS"]:
        monkeypatch.setattr(module, name, stand_in)

    def run(*words: object) -> Answer:
        capfd.readouterr()
        code = main([str(word) for word in words])
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture
def process() -> Callable[..., "subprocess.Popen[str]"]:
    """A function that starts one command line in a process of its own."""

    def start(*words: object) -> "subprocess.Popen[str]":
        command = [sys.executable, str(SCRIPT), *map(str, words)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture(scope="session")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quantized VAR, made once."""
    out = tmp_path_factory.mktemp("artefact") / "var"
    words = ["quantize", "zoo:var-xs", "--recipe", "rtn-w4a16", "--out", str(out)]
    subprocess.run([sys.executable, str(SCRIPT), *words], check=True, capture_output=True)
    return out
