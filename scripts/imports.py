"""The imports of the modules and rooms of `edge`, read from the source without running it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

EDGE = Path(__file__).resolve().parent.parent / "edge"
DOTTED = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*\.?")


def rooms() -> list[str]:
    """Names of the folders and modules directly in `edge`, in alphabetical order."""
    return sorted(
        path.stem
        for path in EDGE.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    )


def modules(place: str) -> list[Path]:
    """The modules of a folder of `edge`, or one module. Raises FileNotFoundError if it has none."""
    path = EDGE / place
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    if not files or not all(file.is_file() for file in files):
        raise FileNotFoundError(f"edge/{place} has no modules")
    return files


@cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names that a module imports, including those inside functions and by importlib."""
    tree = ast.parse(path.read_text())
    names = _imported_by_name(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def names(place: str) -> set[str]:
    """Dotted names that the modules of a place import."""
    return {name for path in modules(place) for name in imports(path)}


def rooms_of(room: str) -> set[str]:
    """The other rooms that a room imports."""
    known = set(rooms())
    parts = (name.split(".") for name in names(room) if name.startswith("edge."))
    return {part[1] for part in parts if part[1] in known} - {room}


def _imported_by_name(tree: ast.AST) -> set[str]:
    """Strings that look like module names (also starts of f-strings), if it calls importlib."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if not any("import_module" in ast.dump(call.func) for call in calls):
        return set()
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {text.rstrip(".") for text in texts if isinstance(text, str) and DOTTED.fullmatch(text)}
