"""Entry point of `edge-train`; each command is imported when it is asked for."""

from __future__ import annotations

import importlib

import click

from edge.cli import main as run

COMMANDS = {
    "zoo": "Counts and measures the sixteen MobileNet v1 networks.",
    "choose": "Picks the best of them for a latency and a size.",
    "harvest": "Makes a dataset of what moves in footage of a fixed camera.",
    "label": "Names or rejects whole tracks of a harvest.",
    "check": "Reads a dataset, says what is wrong or what is in it.",
    "distill": "Labels footage by what a larger model sees in it.",
    "fit": "Trains a detector; goes on where it was stopped.",
    "evaluate": "Measures a run or a model file on a dataset: mAP, F1.",
    "export": "Quantizes a run to int8, measures it and writes its card.",
    "compare": "Depthwise against ordinary layers, MobileNet against fire.",
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
    """From footage to a small detector of your own: harvest, fit, export."""


def main() -> None:
    """Errors end as those of `edge` do: one sentence and an exit code."""
    run(commands)


if __name__ == "__main__":
    main()
