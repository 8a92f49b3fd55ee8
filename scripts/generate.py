"""Writes what is derived from the code: JSON Schemas, the default configuration, the reference."""

from __future__ import annotations

from pathlib import Path

from edge import messages
from edge.config import explain as config

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- generated: make schemas -->\n", "<!-- end -->\n"


def generated() -> dict[Path, str]:
    """Every derived file with what it should hold."""
    schemas = ROOT / "docs" / "schemas"
    files = {schemas / f"{kind}.json": text.decode() for kind, text in messages.schemas().items()}
    files[ROOT / "systemd" / "edge.toml"] = config.commented()
    reference = ROOT / "docs" / "configuration.md"
    before, _, rest = reference.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    files[reference] = before + BEGIN + config.markdown() + END + after
    return files


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
