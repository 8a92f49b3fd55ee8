"""A hook of mkdocs: makes the site's first page of the README, and keeps links out of docs/ whole.

On GitHub the pages link to files of the project, such as `../models/README.md`, and to folders. The
site has only files of docs/, so such a link becomes text there, unless mkdocs.yml has `repo_url`.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the README as index.md, as if it were in docs/."""
    text = re.sub(r"\]\(docs/", "](", (ROOT / "README.md").read_text())
    text = re.sub(r"\]\((?=[A-Z]+\.md|models/|examples/)", "](../", text)
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Replaces links to files outside docs/ and to folders."""
    folder = posixpath.dirname(page.file.src_uri)

    def replaced(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        path = posixpath.normpath(posixpath.join("docs", folder, target.partition("#")[0]))
        in_site = path.startswith("docs/") and not (ROOT / path).is_dir()
        if "://" in target or target.startswith("#") or in_site:
            return match[0]
        if config.repo_url:
            return f"{picture}[{text}]({config.repo_url.rstrip('/')}/blob/main/{path})"
        return f"{text} (`{path}`)" if f"`{path}`" != text else text

    return LINK.sub(replaced, markdown)
