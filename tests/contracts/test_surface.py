"""The public surface: what a package exports is what it lists, and the command is documented."""

import ast
import importlib
from pathlib import Path

import pytest

import bitscape

SOURCE = Path(bitscape.__path__[0])
INITS = sorted(SOURCE.rglob("__init__.py"))


def module_name(path: Path) -> str:
    """The dotted name of the package whose `__init__.py` this is."""
    return ".".join(("bitscape", *path.relative_to(SOURCE).parent.parts))


def imported_names(tree: ast.Module) -> set[str]:
    """Public names that the top level imports from the package's own modules."""
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bitscape")
        for alias in node.names
        if not (alias.asname or alias.name).startswith("_")
    }


@pytest.mark.parametrize("path", INITS, ids=module_name)
def test_listed_names_are_the_exported_ones(path: Path) -> None:
    listed = getattr(importlib.import_module(module_name(path)), "__all__", None)
    if listed is None:
        assert not imported_names(ast.parse(path.read_text())), "names exported without __all__"
        return
    assert imported_names(ast.parse(path.read_text())) <= set(listed)


@pytest.mark.parametrize("path", INITS, ids=module_name)
def test_listed_names_exist(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None
