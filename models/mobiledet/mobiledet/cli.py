"""Entry point of `edge-train`. Each command is imported when it is called."""

from __future__ import annotations

import importlib

import click

from edge.cli import main as run

COMMANDS = {
    "zoo": "Count and measure sixteen MobileNet v1 networks.",
    "choose": "Choose the best of them within a latency and a size.",
    "harvest": "Make a dataset of the objects that move in footage of a fixed camera.",
    "label": "Name or reject whole tracks of a harvest.",
    "check": "Check a dataset and count its objects.",
    "distill": "Make a dataset of footage that a larger model labels.",
    "fit": "Train a detector, or continue its training.",
    "evaluate": "Measure a run or a model file on a dataset: mAP, F1.",
    "export": "Make an int8 file of a run, measure it and write its card.",
    "compare": "Compare depthwise with ordinary layers, and MobileNet with fire.",
}


class LazyGroup(click.Group):
    """A command is the function of that name in the module of that name."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mobiledet.commands.{cmd_name}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def commands() -> None:
    """Make a small detector from your footage: harvest, fit, export."""


def main() -> None:
    """Runs a command. An error becomes one sentence and an exit code, as in `edge`."""
    run(commands)


if __name__ == "__main__":
    main()
