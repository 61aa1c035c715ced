"""The order of the packages: a module imports only from rows above its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bitscape

SOURCE = Path(bitscape.__path__[0])
TESTS = Path(__file__).parents[1]

ROW_0 = {"files", "formats", "structure", "laws"}
ROW_1 = {"quantizers", "models"}
ROW_2 = {"algorithms", "nn"}
ROW_3 = {"calibration", "training", "runtime", "evaluation"}
LOWER = ROW_0 | ROW_1 | ROW_2 | ROW_3
ABOVE_6 = LOWER | {"passes", "artefacts", "methods", "analysis"}
ROW_6 = {"recipes", "zoo", "sweeps", "integrations", "api", "reports"}
ROOT = ""

MAY_IMPORT = {
    "files": set(),
    "formats": set(),
    "structure": set(),
    "laws": set(),
    "quantizers": {"formats", "structure"},
    "models": {"structure"},
    "algorithms": {"formats", "quantizers"},
    "nn": {"formats", "quantizers", "structure"},
    "calibration": {"files", "structure", "nn"},
    "training": {"files", "structure", "nn"},
    "runtime": {"formats", "quantizers", "nn", "structure"},
    "evaluation": {"files", "structure"},
    "passes": LOWER - {"models"},
    "artefacts": LOWER,
    "analysis": {"files", "structure", "algorithms", "calibration", "evaluation"},
    "methods": (LOWER - {"models"}) | {"passes"},
    "recipes": ABOVE_6,
    "zoo": ABOVE_6,
    "integrations": ABOVE_6,
    "api": ABOVE_6 | {"recipes", "zoo"},
    "sweeps": ABOVE_6 | {"recipes", "zoo", "api"},
    "reports": ABOVE_6 | ROW_6,
    "cli": ABOVE_6 | ROW_6,
    ROOT: {"api"},
    "__main__": {"cli"},
}


def package_of(path: Path) -> str:
    """The package, or the single module, directly under bitscape that holds the file."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ROOT if parts == ("__init__",) else parts[0]


def targets(node: ast.AST) -> list[str]:
    """Dotted names that an import statement brings in; relative imports are named as such."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        return [".relative"]
    if node.module == "bitscape":
        return [f"bitscape.{alias.name}" for alias in node.names]
    return [node.module or ""]


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, dotted name) of each import, those inside functions included."""
    return [
        (node.lineno, name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in targets(node)
    ]


def violations(tree: ast.AST, package: str) -> list[str]:
    """What the module imports although its package may not."""
    found = []
    for line, name in imports(tree):
        if name == ".relative":
            found.append(f"line {line}: relative import; write the absolute one")
        if package == "laws" and name.split(".")[0] == "torch":
            found.append(f"line {line}: laws must work without torch")
        if name.split(".")[0] != "bitscape":
            continue
        target = (name.split(".") + [ROOT])[1]
        if target != package and target not in MAY_IMPORT[package]:
            found.append(f"line {line}: {package or 'bitscape'} may not import {name}")
    return found


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_imports_only_from_above(path: Path) -> None:
    package = package_of(path)
    assert package in MAY_IMPORT, f"{package} has no row: add it to MAY_IMPORT"
    assert violations(ast.parse(path.read_text()), package) == []


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("formats", "from bitscape.nn import QuantLinear"),
        ("models", "def f():\n    import bitscape.quantizers.affine"),
        ("methods", "from bitscape import models"),
        ("calibration", "import bitscape.runtime"),
        ("laws", "from torch import nn"),
        ("passes", "from . import base"),
        ("api", "import bitscape"),
    ],
)
def test_planted_violation_is_found(package: str, code: str) -> None:
    assert len(violations(ast.parse(code), package)) == 1


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("nn", "from bitscape.nn.linear import QuantLinear"),
        ("methods", "from bitscape.passes import QuantizeWeights"),
        ("reports", "from bitscape.api import load"),
        ("laws", "import numpy"),
    ],
)
def test_lawful_import_is_left_alone(package: str, code: str) -> None:
    assert violations(ast.parse(code), package) == []


def test_laws_work_where_torch_is_not_installed() -> None:
    code = "import sys; sys.modules['torch'] = None; from bitscape import laws; laws.published()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_cycle_among_packages() -> None:
    ordered: set[str] = set()
    rest = dict(MAY_IMPORT)
    while ready := {name for name, needs in rest.items() if needs - {name} <= ordered}:
        ordered |= ready
        rest = {name: needs for name, needs in rest.items() if name not in ready}
    assert not rest, f"these packages may import one another: {sorted(rest)}"
