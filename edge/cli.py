"""Entry point of the command line.

Each command is a module of `edge.commands`, imported only when it is needed: `edge --help` stays
fast, and a missing extra affects only its own command.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Mapping
from typing import IO, Any

import click

from edge import __version__
from edge.errors import EdgeError
from edge.runtime.printable import printable, printable_lines

EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it

COMMANDS = {  # name: module and function, line of `edge --help`
    "init": ("init:init", "Create a configuration, check this machine and try it."),
    "camera": ("camera:camera", "Add, list and remove the cameras of this machine's services."),
    "run": ("run:run", "Run the daemon until its source ends or it is stopped."),
    "watch": ("watch:watch", "Print the events of a running daemon."),
    "view": ("view:view", "Serve a web page to aim and tune the camera."),
    "ctl": ("ctl:ctl", "Control a running daemon: status, capture, pause, reload …"),
    "replay": ("replay:replay", "Play a recording and show the decisions of the daemon."),
    "config": ("config:config_group", "Show and explain the configuration."),
    "check-config": ("config:check_config", "Check a configuration and list every problem."),
    "keys": ("keys:keys", "Create keys for TCP and allow or revoke clients."),
    "models": ("models:models", "List, describe and download models."),
    "bridge": ("bridge:bridge", "Forward events to an MQTT broker or to Prometheus."),
    "export": ("export:export", "Export captures for research, spreadsheets or training."),
    "upload": ("upload:upload", "Copy finished captures to a server or a NAS."),
    "bench": ("bench:bench", "Measure accuracy, latency and cost on this machine."),
    "doctor": ("doctor:doctor", "Check this machine and report how to fix each fault."),
}


class LazyGroup(click.Group):
    """Imports a command's module only to run the command or to show its help."""

    def __init__(
        self, *args: Any, package: str = "", table: Mapping[str, tuple[str, str]], **kwargs: Any
    ) -> None:
        """table: a command's name to its `module:function` in `package`, and its help line."""
        super().__init__(*args, **kwargs)
        self._package = package
        self._table = table

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module, _, function = self._table[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"{self._package}.{module}"), function)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, and an unknown name is answered with the nearest known one."""
        name = args[0]
        if name not in self._table and not name.startswith("-"):
            from edge.config.words import suggestion

            advice = suggestion(name, self._table) or f"; {ctx.command_path} --help lists them"
            ctx.fail(f"no such command {name!r}{advice}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self._table.items()])


@click.group(
    cls=LazyGroup,
    package="edge.commands",
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nTo begin:\n  edge init            create edge.toml\n"
    "  edge run             run the daemon\n  edge COMMAND --help  describe a command",
)
@click.version_option(__version__, prog_name="edge")
def commands() -> None:
    """Watch a camera, detect moving objects and trigger captures."""


_echo = click.echo


def echo(
    message: Any = None,
    file: IO[Any] | None = None,
    nl: bool = True,
    err: bool = False,
    color: bool | None = None,
) -> None:
    """As `click.echo`, but text can't control the terminal: names and values come from outside."""
    if message is not None and not isinstance(message, bytes | bytearray):
        message = printable_lines(str(message))
    _echo(message, file, nl, err, color)


def _show(error: click.ClickException) -> None:
    shown = io.StringIO()
    error.show(shown)
    echo(shown.getvalue(), nl=False, err=True)


def main(program: click.Command = commands) -> None:
    """Runs a program: each expected error becomes one line and an exit code, never a traceback."""
    click.echo = echo  # for all commands at once, so that none can forget it
    try:
        sys.exit(program(standalone_mode=False))
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        _show(error)
        sys.exit(error.exit_code)
    except EdgeError as error:
        for line in str(error).splitlines():
            print(f"edge: {printable(line)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort) as stop:
        print(f"\nedge: {printable(str(stop)) or 'stopped'}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        if os.environ.get("EDGE_DEBUG"):
            raise
        text = printable(f"{type(error).__name__}: {error}")
        hint = "set EDGE_DEBUG=1 for a traceback"
        print(f"edge: internal error: {text} ({hint})", file=sys.stderr)
        sys.exit(EXIT_INTERNAL)


if __name__ == "__main__":
    main()
