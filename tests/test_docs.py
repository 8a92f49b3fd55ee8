"""The pages: links, files, names in files, commands and make targets that they name exist."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import edge.cli
import mobiledet.cli
from edge.config.load import load, loads
from scripts.imports import rooms, rooms_of

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "models/**/*.md", "examples/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
CODE = re.compile(r"^ {4}[^\n]*$|^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"^[ `]*(?:sudo |\.venv/bin/)?(edge|edge-train|make) (?:[A-Z]+=\S+ )?([a-z][a-z0-9-]*)",
    re.MULTILINE,
)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
# A path with a folder of the project in front, or a page at the top; `:NAME` is a name in the file.
FOLDERS = ("dashboards", "docs", "edge", "examples", "models", "scripts", "systemd", "tests")
FILE = re.compile(
    rf"((?:(?:{'|'.join(FOLDERS)})/[\w@./*-]*|[A-Z]+\.md|pyproject\.toml|Makefile))(?::([\w.]+))?"
)
MODULE = re.compile(r"edge(?:\.\w+)+(?<!\.toml)")
PROGRAMS = {
    "edge": set(edge.cli.COMMANDS),
    "edge-train": set(mobiledet.cli.COMMANDS),
    "make": set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)),
}
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMPLETE = ["docs/quickstart.md", *(page for page in PAGES if page.startswith("docs/recipes/"))]
# What a browser would load from another server.
LOADED = re.compile(
    r"""<(?:script|img|iframe)[^>]*src=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//"""
    r"""|<link[^>]*stylesheet[^>]*href=["']?(?:https?:)?//"""
)
# Facts for `edge export`, which are no configuration.
OTHER_TOML = {"docs/export.md"}
# The history names files that have moved since.
NAMES_OLD_FILES = {"CHANGELOG.md"}


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def spans(page: str) -> list[str]:
    return SPAN.findall(re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S))


def commands(page: str) -> list[tuple[str, str]]:
    """(program, command) of each call of a program of the project, or of make."""
    return COMMAND.findall("\n".join(CODE.findall(text_of(page))))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = (heading.replace("`", "").lower() for heading in HEADING.findall(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in headings}


def has_name(path: Path, dotted: str) -> bool:
    """Whether a Python file defines a name: a function, class, method, field or constant."""
    body: list[ast.stmt] = ast.parse(path.read_text()).body
    for name in dotted.split("."):
        matching = [node for node in body if name in defined(node)]
        if not matching:
            return False
        body = getattr(matching[0], "body", [])
    return True


def defined(node: ast.stmt) -> set[str]:
    """The names that a statement defines where it stands."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Assign():
            names = [name for target in node.targets for name in ast.walk(target)]
            return {name.id for name in names if isinstance(name, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


def exists(span: str) -> bool:
    """Whether `path`, `path:name` or a dotted module of the project is there."""
    if match := FILE.fullmatch(span):
        path, name = match.groups()
        if "*" in path:
            return any(ROOT.glob(path))
        return (ROOT / path).exists() and (not name or has_name(ROOT / path, name))
    parts = span.split(".")
    base = ROOT.joinpath(*parts)
    if base.is_dir() or base.with_suffix(".py").is_file():
        return True
    module = ROOT.joinpath(*parts[:-1]).with_suffix(".py")
    if not module.is_file():
        module = ROOT.joinpath(*parts[:-1], "__init__.py")
    return module.is_file() and re.search(rf"\b{parts[-1]}\b", module.read_text()) is not None


def blocks(page: str) -> list[str]:
    """The TOML blocks of a page."""
    return TOML.findall(text_of(page))


def test_there_are_pages_and_the_patterns_find_something() -> None:
    assert {"README.md", "docs/bus.md", "docs/design/architecture.md"} <= set(PAGES)
    files = {span for page in PAGES for span in spans(page) if FILE.fullmatch(span)}
    assert len(files) > 50
    assert any(":" in span for span in files)
    assert not exists("edge/vision/absent.py")
    assert not exists("edge/vision/pipeline.py:Pipeline.absent")
    assert not exists("edge.vision.absent")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in LINK.findall(CODE.sub("", text_of(page))):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


@pytest.mark.parametrize("page", sorted(set(PAGES) - NAMES_OLD_FILES))
def test_files_and_modules_named_in_a_page_exist(page: str) -> None:
    named = [span for span in spans(page) if FILE.fullmatch(span) or MODULE.fullmatch(span)]
    assert [span for span in named if not exists(span)] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_named_in_a_page_exist(page: str) -> None:
    assert [call for call in commands(page) if call[1] not in PROGRAMS[call[0]]] == []


@pytest.mark.parametrize("page", sorted({page for page in PAGES if blocks(page)} - OTHER_TOML))
def test_configurations_in_a_page_are_valid(page: str) -> None:
    for block in blocks(page):
        # A block may show a rule that names a zone of another block.
        loads(re.sub(r"(?m)^zones = .*\n", "", block) if page not in COMPLETE else block)


@pytest.mark.parametrize("page", COMPLETE)
def test_check_config_accepts_each_recipe(page: str, tmp_path: Path) -> None:
    assert blocks(page)
    for number, block in enumerate(blocks(page)):
        file = tmp_path / f"cam{number}.toml"
        file.write_text(block)
        done = CliRunner().invoke(edge.cli.commands, ["check-config", str(file)])
        assert done.exit_code == 0, done.output + str(done.exception)


def test_the_files_of_the_fleet_make_one_configuration(tmp_path: Path) -> None:
    fleet, rules, own = blocks("docs/recipes/fifty-pis.md")
    (tmp_path / "edge.d").mkdir()
    (tmp_path / "edge.d/10-fleet.toml").write_text(fleet)
    (tmp_path / "edge.d/20-rules.toml").write_text(rules)
    (tmp_path / "cam0.toml").write_text(own)
    settings = load(tmp_path / "cam0.toml")
    assert (settings.camera, settings.mqtt.username) == ("site17", "site17")
    assert settings.mqtt.tls
    assert settings.capture.keep_until_uploaded
    assert [rule.name for rule in settings.triggers] == ["animals"]


def test_the_readme_fits_on_some_screens_and_its_pictures_are_small() -> None:
    assert len(text_of("README.md").splitlines()) < 130
    for picture in ("docs/view.jpg", "docs/capture.jpg"):
        assert f"]({picture})" in text_of("README.md")
        assert 10_000 < (ROOT / picture).stat().st_size < 200_000


@pytest.mark.skipif(
    importlib.util.find_spec("material") is None,
    reason="NO MKDOCS: pip install 'edge-trigger[docs]'; the site was not built",
)
def test_the_site_has_every_page_and_asks_no_other_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")}
    names = {page.removeprefix("docs/").removesuffix("md") + "html" for page in PAGES
             if page.startswith("docs/")}  # fmt: skip
    assert pages == {*names, "index.html", "404.html"}
    for path in [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")]:
        assert not LOADED.search(path.read_text()), path


def test_the_readme_names_every_command() -> None:
    assert {name for program, name in commands("README.md") if program == "edge"} == (
        PROGRAMS["edge"]
    )


def test_the_picture_has_every_room_to_the_right_of_those_that_it_imports() -> None:
    drawn = re.findall(r'class="room" x="(\d+)"[^>]*>(\w+)<', text_of("docs/design/rooms.svg"))
    x_of = {room: int(x) for x, room in drawn}
    assert set(x_of) == set(rooms())
    pairs = [(room, other) for room in rooms() for other in rooms_of(room)]
    assert len(pairs) > 30
    assert [(room, other) for room, other in pairs if x_of[room] <= x_of[other]] == []


def test_derived_files_are_up_to_date() -> None:
    """Schemas, default configuration, key reference and the picture of the rooms."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.generate", "--check"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
