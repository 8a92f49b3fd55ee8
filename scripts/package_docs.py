"""Writes manual pages, completions, licences and the Debian changelog of the package.

Call: python -m scripts.package_docs ROOT VERSION WHEELS, where ROOT is the folder that becomes the
package, and WHEELS the folder of its wheels.
"""

from __future__ import annotations

import gzip
import re
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from email.parser import Parser
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from edge.cli import commands

HERE = Path(__file__).resolve().parent.parent
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/edge",
    "zsh": "usr/share/zsh/vendor-completions/_edge",
    "fish": "usr/share/fish/vendor_completions.d/edge.fish",
}
LIBRARY = re.compile(r"[\w.]+\.libs/lib([\w+.-]+?)-[0-9a-f]{8}\.so")
# Licences of libraries within wheels that ask for more than a notice.
COPYLEFT = {
    "x264": "GPL-2.0-or-later", "x265": "GPL-2.0-or-later", "mp3lame": "LGPL-2.0-or-later",
    "gnutls": "LGPL-2.1-or-later", "gmp": "LGPL-3.0-or-later", "nettle": "LGPL-3.0-or-later",
    "hogweed": "LGPL-3.0-or-later", "unistring": "LGPL-3.0-or-later",
    "asound": "LGPL-2.1-or-later", "zmq": "MPL-2.0",
    "gfortran": "GPL-3.0-or-later with the GCC runtime exception",
    "quadmath": "LGPL-2.1-or-later",
}  # fmt: skip
FFMPEG = re.compile(r"av(codec|device|filter|format|util)|sw(resample|scale)|postproc")
TEXTS = re.compile(r"(^|/)(LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*$", re.IGNORECASE)


def main() -> None:
    root, version, wheels = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    doc = root / "usr/share/doc/edge-trigger"
    for name, text in manual_pages(version):
        compress(root / f"usr/share/man/man1/{name}.1.gz", text)
    for shell, place in COMPLETIONS.items():
        write(root / place, completion(shell))
    write(doc / "copyright", licences(sorted(wheels.glob("*.whl"))))
    compress(doc / "changelog.gz", changelog(version))


def completion(shell: str) -> str:
    """The text that click makes for a shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    instance = kind(commands, {}, "edge", "_EDGE_COMPLETE")
    return str(instance.source_template % instance.source_vars())


def manual_pages(version: str) -> Iterator[tuple[str, str]]:
    """Name and roff text: edge(1), and one page for each command with its subcommands."""
    context = click.Context(commands, info_name="edge")
    names = commands.list_commands(context)
    yield "edge", page(context, version, [f"edge-{name}" for name in names])
    for name in names:
        command = commands.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        yield f"edge-{name}", page(inner, version, ["edge"])


def page(context: click.Context, version: str, others: list[str]) -> str:
    """One manual page, with the subcommands of a group that has its own page."""
    title = context.command_path.replace(" ", "-")
    about = context.command.get_short_help_str(200).rstrip(".")
    lines = [f'.TH "{title.upper()}" 1 "" "edge-trigger {version}" "User commands"']
    lines += [".SH NAME", f"{roff(title)} \\- {roff(about)}"]
    lines += described(context)
    if isinstance(context.command, click.Group) and context.parent is not None:
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            inner = click.Context(command, info_name=name, parent=context)
            lines += [f'.SH "COMMAND {roff(name.upper())}"', *described(inner, heading=".SS")]
    lines += [".SH SEE ALSO", ", ".join(f"\\fB{roff(other)}\\fR(1)" for other in others)]
    lines += [".PP", "file:///usr/share/doc/edge\\-trigger/"]
    return "\n".join(lines) + "\n"


def described(context: click.Context, heading: str = ".SH") -> Iterator[str]:
    """Synopsis, description and options of a command."""
    usage = " ".join(context.command.collect_usage_pieces(context))
    yield from (f'{heading} "SYNOPSIS"', f"\\fB{roff(context.command_path)}\\fR {roff(usage)}")
    yield f'{heading} "DESCRIPTION"'
    for paragraph in re.split(r"\n\s*\n", (context.command.help or "").replace("\b", "")):
        yield from (".PP", roff(" ".join(paragraph.split())))
    records = [param.get_help_record(context) for param in context.command.get_params(context)]
    if shown := [record for record in records if record is not None]:
        yield f'{heading} "OPTIONS"'
        for option, text in shown:
            yield from (".TP", f"\\fB{roff(option)}\\fR", roff(text) or "\\ ")


def roff(text: str) -> str:
    """Text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    text = text.replace("°", "\\[de]").replace("\n", " ")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def licences(wheels: list[Path]) -> str:
    """The file `copyright`: the project, its models, and each wheel with the libraries in it."""
    parts = [COPYRIGHT, indented((HERE / "LICENSE").read_text()), "\n", MODELS]
    foreign = [wheel for wheel in wheels if not wheel.name.startswith("edge_trigger-")]
    parts += [wheel_licence(wheel) for wheel in foreign]
    parts.append("\nLicense: Apache-2.0\n The text is in /usr/share/common-licenses/Apache-2.0.\n")
    return "".join(parts)


def wheel_licence(wheel: Path) -> str:
    """A paragraph with the licence of a wheel, its libraries and their licences."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(archive.read(metadata).decode())
        texts = [name for name in names if ".dist-info/" in name and TEXTS.search(name)]
    libraries = sorted({match[1] for name in names if (match := LIBRARY.match(name))})
    copyleft = {name: terms for name in libraries if (terms := terms_of(name, libraries))}
    lines = [f"\nFiles: usr/lib/edge-trigger/wheels/{wheel.name}"]
    lines += [f"Copyright: {owner(about)}", f"License: {licence_of(about)}"]
    if libraries:
        lines.append(f"Comment: The wheel contains the libraries {', '.join(libraries)}.")
        lines += [f" {name} is licensed under {terms}." for name, terms in copyleft.items()]
        if "x264" in libraries:
            lines.append(" As a whole, this wheel is therefore under the terms of the GPL.")
    elif texts:
        lines.append("Comment: The texts of its licence are in the wheel:")
    lines += [f" {text}" for text in texts]
    return "\n".join(lines) + "\n"


def terms_of(library: str, beside: list[str]) -> str:
    """The licence of a library that is under a copyleft; empty for others."""
    if FFMPEG.match(library):  # FFmpeg built with x264 or x265 is under the GPL
        return "GPL-2.0-or-later" if "x264" in beside else "LGPL-2.1-or-later"
    return next((terms for name, terms in COPYLEFT.items() if library.startswith(name)), "")


def licence_of(about: Message) -> str:
    """The name of the licence in a wheel's metadata."""
    classifiers = [str(line) for line in about.get_all("Classifier") or []]
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    text: Any = about["License-Expression"] or ", ".join(named) or about["License"]
    return str(text or "see the wheel").splitlines()[0]


def owner(about: Message) -> str:
    name: Any = about["Author"] or about["Author-email"] or about["Maintainer"] or about["Name"]
    return f"{str(name).splitlines()[0]} and contributors"


def changelog(version: str) -> str:
    """A Debian changelog with the latest section of CHANGELOG.md."""
    text = (HERE / "CHANGELOG.md").read_text()
    heading, _, rest = text.partition("\n## ")[2].partition("\n")
    section = rest.partition("\n## ")[0]
    entries = [re.sub(r"\s+", " ", part) for part in re.split(r"(?m)^- ", section)[1:]]
    lines = [f"edge-trigger ({version}) stable; urgency=medium\n"]
    for entry in entries:
        text = entry.partition(" ###")[0].strip()
        lines += textwrap.wrap(text, 76, initial_indent="  * ", subsequent_indent="    ")
    day = re.search(r"\d{4}-\d\d-\d\d", heading)
    moment = datetime.fromisoformat(day.group()) if day else datetime(1970, 1, 1)
    stamp = format_datetime(moment.replace(tzinfo=UTC))
    return "\n".join(lines) + f"\n\n -- {MAINTAINER}  {stamp}\n"


def indented(text: str) -> str:
    return "".join(f" {line}\n" if line.strip() else " .\n" for line in text.splitlines())


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def compress(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


MAINTAINER = "edge-trigger contributors <edge-trigger@users.noreply.github.com>"
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: edge-trigger
Comment: The package contains wheels of other projects, with libraries in them. The wheel of PyAV
 contains FFmpeg with x264 and x265, which are under the GNU General Public License: anyone who
 passes on this package must meet the terms of that licence, which are in
 /usr/share/common-licenses/GPL-2, and offer the source of these libraries.

Files: *
Copyright: 2026 the edge-trigger contributors
License: MIT
"""
MODELS = """\
Files: models/person_ssdlite_mobilenet_v2_int8.tflite
Copyright: see models/LICENSE-person_ssdlite.txt of the source
License: MIT

Files: models/coco_ssdlite_mobilenet_v3_large_int8.tflite
Copyright: see models/LICENSE-coco_ssdlite.txt of the source
License: Apache-2.0
"""

if __name__ == "__main__":
    main()
