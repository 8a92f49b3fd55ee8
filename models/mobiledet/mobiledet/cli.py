"""Entry point of `edge-train`. Each command is imported when it is called."""

from __future__ import annotations

import click

from edge.cli import LazyGroup
from edge.cli import main as run

COMMANDS = {
    "zoo": "Count and measure sixteen MobileNet v1 networks.",
    "choose": "Choose the best of them within a latency and a size.",
    "harvest": "Make a dataset of the objects that move in footage of a fixed camera.",
    "compose": "Add pictures of objects cut out of photographs to a dataset.",
    "label": "Name or reject whole tracks of a harvest.",
    "check": "Check a dataset and count its objects.",
    "distill": "Make a dataset of footage that a larger model labels.",
    "fit": "Train a detector, or continue its training.",
    "evaluate": "Measure a run or a model file on a dataset: mAP, F1.",
    "export": "Make an int8 file of a run, measure it and write its card.",
    "compare": "Compare heads, backbones and kinds of extra layers after the same training.",
}


@click.group(
    cls=LazyGroup,
    package="mobiledet.commands",
    # Each command is the function of its name in the module of its name.
    table={name: (f"{name}:{name}", about) for name, about in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def commands() -> None:
    """Make a small detector from your footage: harvest, fit, export."""


def main() -> None:
    """Runs a command. An error becomes one sentence and an exit code, as in `edge`."""
    run(commands)


if __name__ == "__main__":
    main()
