"""The progress bar of commands that take a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from edge.runtime.printable import printable


class Update(Protocol):
    """Moves the bar. total: None if it is not known. task: replaces the text beside the bar."""

    def __call__(self, done: int, total: int | None, task: str | None = None) -> None: ...


@contextmanager
def progress_bar(task: str) -> Iterator[Update]:
    """Shows a bar on standard error until the end of the block."""
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
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        number = bar.add_task(printable(task), total=None)

        def update(done: int, total: int | None, task: str | None = None) -> None:
            bar.update(
                number,
                completed=done,
                total=total,
                description=task if task is None else printable(task),
            )

        yield update
