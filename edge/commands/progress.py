"""The progress of commands that take a while, shown on standard error if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from edge.runtime.printable import printable


class Update(Protocol):
    """Moves the bar. total: None if it is not known. task: replaces the text beside the bar."""

    def __call__(self, done: int, total: int | None, task: str | None = None) -> None: ...


@contextmanager
def progress_bar(task: str) -> Iterator[Update]:
    """Shows a bar until the end of the block."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console, hidden = Console(stderr=True), not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        number = bar.add_task(printable(task), total=None)

        def update(done: int, total: int | None, task: str | None = None) -> None:
            bar.update(
                number,
                completed=done,
                total=total,
                description=task if task is None else printable(task),
            )

        yield update


@contextmanager
def working(task: str) -> Iterator[None]:
    """Shows what is being done, until the end of the block, where no amount of work is known."""
    from rich.console import Console
    from rich.text import Text

    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(Text(printable(f"{task} …"))):
        yield
