"""Rules of style that a machine can check, over every module of the package."""

import ast
from pathlib import Path

import pytest

import bitscape

SOURCE = Path(bitscape.__path__[0])
FILES = sorted(SOURCE.rglob("*.py"))
VAGUE = {"utils", "helpers", "misc", "common"}
FUNCTION_LINES = 70


def file_budget(path: Path) -> int:
    """Lines a file may have; a model family lives whole in one file and gets more."""
    return 450 if path.parent.name == "models" else 300


def forbidden(tree: ast.AST) -> list[str]:
    """Statements that are never right here, each with its line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found.append(f"line {node.lineno}: global")
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            found.append(f"line {node.lineno}: __future__ hides shapes from the checker")
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"line {node.lineno}: bare except")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            safe = any(ast.unparse(word) == "weights_only=True" for word in node.keywords)
            found += [] if safe else [f"line {node.lineno}: torch.load without weights_only=True"]
        if isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases):
            marks = set(map(ast.unparse, node.decorator_list))
            # The type checks of the test suite ask whether a value fulfils a protocol.
            found += [] if "runtime_checkable" in marks else [f"{node.name}: not runtime_checkable"]
    return found


def long_functions(tree: ast.AST) -> list[str]:
    """Functions over the budget."""
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_keeps_the_rules(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert path.stem not in VAGUE, "name the idea"
    assert len(text.splitlines()) <= file_budget(path)
    assert forbidden(tree) == []
    assert long_functions(tree) == []


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    global x",
        "from __future__ import annotations",
        "try:\n    pass\nexcept:\n    pass",
        "torch.load(path)",
        "class Rule(Protocol):\n    pass",
    ],
)
def test_planted_offence_is_found(code: str) -> None:
    assert len(forbidden(ast.parse(code))) == 1


def test_planted_long_function_is_found() -> None:
    assert long_functions(ast.parse("def f():\n" + "    pass\n" * FUNCTION_LINES))
