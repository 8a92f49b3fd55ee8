"""The command line as a whole: every command describes itself, and every failure has its code."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from edge import cli
from edge.errors import ConfigError, TemporaryError
from edge.runtime.printable import UNSAFE


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_found_and_has_a_help_text(name: str) -> None:
    command = cli.commands.get_command(click.Context(cli.commands), name)
    assert command is not None
    assert command.help


def test_help_lists_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "edge.cli", "--help"], capture_output=True,
                          text=True, timeout=30)  # fmt: skip
    assert done.returncode == 0, done.stderr
    listed = [line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines()
              if line.startswith("  ") and line[2] != " "]  # fmt: skip
    assert listed[: len(cli.COMMANDS)] == list(cli.COMMANDS)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ConfigError(["a: wrong", "b: wrong"]), 2, "edge: a: wrong\nedge: b: wrong\n"),
        (TemporaryError("the disk is full"), 1, "edge: the disk is full\n"),
        (click.UsageError("no such option"), 2, "Error: no such option\n"),
        (click.exceptions.Exit(3), 3, ""),
        (KeyboardInterrupt(), 130, "\nedge: stopped\n"),
        (click.Abort("stopped: nothing was written"), 130,
         "\nedge: stopped: nothing was written\n"),
        (ValueError("a bug"), 70,
         "edge: internal error: ValueError: a bug (set EDGE_DEBUG=1 for a traceback)\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)  # fmt: skip
def test_each_failure_has_its_exit_code_and_text(
    error: BaseException,
    code: int,
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @click.command()
    def fail() -> None:
        raise error

    monkeypatch.delenv("EDGE_DEBUG", raising=False)
    monkeypatch.setattr(sys, "argv", ["edge"])
    with pytest.raises(SystemExit) as ended:
        cli.main(fail)
    assert ended.value.code == code
    assert capsys.readouterr().err.endswith(text)


def test_a_closed_pipe_ends_a_command_quietly() -> None:
    """`edge config explain | head -1` prints no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.cli", "config", "explain"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (1, "")


CONTROLS = "\x1b[2J\x9b\x07\u202e\udcff"


@pytest.mark.parametrize("err", [False, True])
def test_no_command_prints_a_control_character_from_outside(
    err: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def say() -> None:
        click.echo(f"first {CONTROLS}\nsecond", err=err)
        raise click.UsageError(f"no such thing: {CONTROLS}")

    monkeypatch.setattr(sys, "argv", ["edge"])
    with pytest.raises(SystemExit):
        cli.main(say)
    printed = capsys.readouterr()
    assert not UNSAFE.search((printed.out + printed.err).replace("\n", ""))
    assert "\nsecond\n" in (printed.err if err else printed.out)
    assert "no such thing: " in printed.err
