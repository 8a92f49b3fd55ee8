"""Entry point of `edge-train`. Each command is imported when it is called."""

from __future__ import annotations

import importlib

import click

from edge.cli import main as run

COMMANDS = {
    "zoo": "Counts and measures sixteen MobileNet v1 networks.",
    "choose": "Picks the best of them within a latency and a size.",
    "harvest": "Makes a dataset of the objects that move in footage of a fixed camera.",
    "label": "Names or rejects whole tracks of a harvest.",
    "check": "Checks a dataset and counts its objects.",
    "distill": "Labels footage with the objects that a larger model finds in it.",
    "fit": "Trains a detector, or continues training.",
    "evaluate": "Measures a run or a model file on a dataset: mAP, F1.",
    "export": "Makes an int8 file of a run, measures it and writes its card.",
    "compare": "Compares depthwise with ordinary layers, and MobileNet with fire.",
}


class LazyGroup(click.Group):
    """A command is the function of its name in the module of its name."""

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
    """Makes your own small detector from footage: harvest, fit, export."""


def main() -> None:
    """Ends with one sentence and an exit code on an error, as `edge` does."""
    run(commands)


if __name__ == "__main__":
    main()
