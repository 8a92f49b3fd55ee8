"""Pushes to phones, mailboxes and chats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from edge.config.schema.base import (
    MAX_ROWS,
    Name,
    PathText,
    Problem,
    Seconds,
    SecretText,
    Section,
    TimeSpan,
    about,
)


class Notify(Section, frozen=True):
    """`edge bridge notify`: one receiver, the events it is notified of, and how often."""

    name: Annotated[Name, about("name of the receiver in logs")]
    url: Annotated[
        SecretText,
        Meta(pattern=r"\A(|[A-Za-z][A-Za-z0-9+.-]*://.+)\Z"),
        about(
            "address in the form of Apprise, such as ntfy://TOPIC; it is a secret",
            title="URL such as ntfy://TOPIC",
        ),
    ] = ""
    url_file: Annotated[
        PathText, about("file with an address in each line; instead of `url`, it stays private")
    ] = ""
    events: Annotated[
        tuple[Literal["triggers", "problems"], ...],
        Meta(min_length=1, max_length=2),
        about("kinds of pushes: events of rules; problems of the camera, and their end"),
    ] = ("triggers", "problems")
    rules: Annotated[
        tuple[str, ...],
        Meta(max_length=MAX_ROWS),
        about("rules whose events are pushed; empty = all"),
    ] = ()
    picture: Annotated[bool, about("attach the picture of the object")] = True
    min_interval_s: Annotated[
        Seconds, about("minimum time between two pushes of events; those left out are counted")
    ] = 60.0
    per_hour: Annotated[
        int, Meta(ge=1, le=3600), about("most pushes of events in an hour, and most of problems")
    ] = 20
    quiet: Annotated[
        tuple[TimeSpan, ...],
        Meta(max_length=100),
        about(
            "when nothing is pushed, also by the sun; what happened is told afterwards",
            title="list of FROM-TO, such as 22:00-06:00",
        ),
    ] = ()

    def problems(self) -> Iterator[Problem]:
        if bool(self.url) == bool(self.url_file):
            found = "both are there" if self.url else "neither is there"
            yield "url", f"give either url or url_file; {found}"
        if self.rules and "triggers" not in self.events:
            yield (
                "rules",
                'they have no effect without "triggers" in events; add it',
            )
