"""Entry point of the command line.

Each command is a module of `edge.commands`, imported when it is asked for, so that `edge --help` is
instant and an extra that is not installed troubles only its own command.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from edge import __version__
from edge.errors import EdgeError

EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130

COMMANDS = {  # name: where it is, what `edge --help` says of it
    "init": ("init:init", "Asks what is needed, writes a configuration, examines and tries it."),
    "run": ("run:run", "Runs the daemon until its source ends or it is stopped."),
    "watch": ("watch:watch", "Prints the events of a running daemon."),
    "view": ("view:view", "Serves a page to aim and tune the camera by."),
    "ctl": ("ctl:ctl", "Commands a running daemon."),
    "replay": ("replay:replay", "Plays footage and shows what would have been done."),
    "config": ("config:config_group", "Shows and explains the configuration."),
    "check-config": ("config:check_config", "Checks a configuration and lists every problem."),
    "keys": ("keys:keys", "Makes keys for TCP and says whose are allowed."),
    "models": ("models:models", "Lists, describes and fetches models."),
    "bridge": ("bridge:bridge", "Passes events on to an MQTT broker or to Prometheus."),
    "export": ("export:export", "Gives captures to research, spreadsheets and training."),
    "bench": ("bench:bench", "Measures accuracy, latency and cost, here and now."),
    "doctor": ("doctor:doctor", "Looks for what is wrong here and says how to mend it."),
}


class LazyGroup(click.Group):
    """Imports a command's module only to run it or to show its own help."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"edge.commands.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="edge")
def commands() -> None:
    """Watches a camera, detects what moves, and triggers captures."""


def main(program: click.Command = commands) -> None:
    """Entry point: expected errors become one sentence each and an exit code, never a traceback."""
    try:
        sys.exit(program(standalone_mode=False))
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EdgeError as error:
        for line in str(error).splitlines():
            print(f"edge: {line}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone: nothing to tell anybody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("EDGE_DEBUG"):
            raise
        said = f"{type(error).__name__}: {error}"
        print(f"edge: internal error: {said} (EDGE_DEBUG=1 shows where)", file=sys.stderr)
        sys.exit(EXIT_INTERNAL)


if __name__ == "__main__":
    main()
