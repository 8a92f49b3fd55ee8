"""axe-core, which checks a page against WCAG: `npm install -g axe-core`."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.support.browser import Page

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")  # level AA of version 2.2


@cache
def script() -> str:
    """The program to run in a page; skips where it is not installed."""
    npm = shutil.which("npm")
    root = subprocess.check_output([npm, "root", "-g"], text=True).strip() if npm else ""
    file = Path(root, "axe-core", "axe.min.js")
    if not (root and file.is_file()):
        pytest.skip("NO AXE: npm install -g axe-core; no page was tested for accessibility")
    return file.read_text()


def violations(page: Page) -> list[str]:
    """One line for each rule that an element violates."""
    page.run("typeof axe === 'undefined'") and page.run(f"{script()}; 0")
    found = page.run(
        f"axe.run(document, {{runOnly: {json.dumps(TAGS)}, resultTypes: ['violations']}})"
        ".then((result) => result.violations.map((v) => v.id + ': '"
        "+ v.nodes.map((n) => n.html.slice(0, 120) + ' ' + n.failureSummary).join(' | ')))"
    )
    return list(found)
