"""Writes the files that are derived from the code, or with `--check` lists those that are stale.

They are the JSON Schemas, the default configuration, the reference of its keys and the drawing of
the rooms.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge import messages
from edge.capture import sidecar
from edge.config import explain as config
from scripts.draw_rooms import drawing

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- generated: make schemas -->\n", "<!-- end -->\n"


def generated() -> dict[Path, str]:
    """The derived files with their present contents, as the code defines them."""
    schemas = ROOT / "docs" / "schemas"
    files = {schemas / f"{kind}.json": text.decode() for kind, text in messages.schemas().items()}
    files[schemas / "sidecar.json"] = sidecar.schema().decode()
    files[ROOT / "systemd" / "edge.toml"] = config.commented()
    reference = ROOT / "docs" / "configuration.md"
    before, _, rest = reference.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    files[reference] = before + BEGIN + config.markdown() + END + after
    files[ROOT / "docs" / "design" / "rooms.svg"] = drawing()
    return files


def stale() -> list[str]:
    """Names of the derived files that are missing or out of date."""
    return [
        str(path.relative_to(ROOT))
        for path, text in generated().items()
        if not path.is_file() or path.read_text() != text
    ]


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit("\n".join(f"{name} is stale: run make schemas" for name in stale()) or 0)
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
