"""House rules that a machine can check: docs/design/style.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("edge", "models/mobiledet/mobiledet")
MAX_FUNCTION_LINES = 40
MAX_ATTRIBUTES = 12
MAX_DAEMON_LINES = 200


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert len(found) > 20, package
    return found


def functions(package: str) -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in modules(package):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def classes(package: str) -> Iterator[tuple[Path, ast.ClassDef]]:
    for path in modules(package):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield path, node


def attributes_of(node: ast.AST) -> set[str]:
    return {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute)
        and isinstance(part.ctx, ast.Store)
        and isinstance(part.value, ast.Name)
        and part.value.id == "self"
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_are_short(package: str) -> None:
    long = [
        f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"
        for path, node in functions(package)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize("package", PACKAGES)
def test_classes_have_few_attributes(package: str) -> None:
    large = [
        f"{path.relative_to(ROOT)}: {node.name} has {len(names)} attributes"
        for path, node in classes(package)
        if len(names := attributes_of(node)) > MAX_ATTRIBUTES
    ]
    assert not large


def test_files_of_the_daemon_are_short() -> None:
    files = sorted((ROOT / "edge/daemon").glob("*.py"))
    assert len(files) > 10
    assert not [
        path.name for path in files if len(path.read_text().splitlines()) >= MAX_DAEMON_LINES
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is_for(package: str) -> None:
    silent = [p for p in modules(package) if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent
