"""Pushes to phones, mailboxes and chats: for triggers, and for problems of the camera."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from io import BytesIO
from typing import Final

from PIL import Image

from edge.bridges.notify.address import (
    MAX_ADDRESSES,
    Address,
    Push,
    addresses_of,
    keep_logs_private,
)
from edge.bridges.notify.limit import Limit
from edge.bridges.notify.problems import Problems
from edge.bridges.notify.queue import PushQueue
from edge.client import Event, Subscriber
from edge.config.schema import Notify, Settings
from edge.errors import ConfigError
from edge.messages import Health, Trigger
from edge.runtime.notify import notify
from edge.runtime.schedule import Schedule
from edge.runtime.service_thread import StuckThreadError

TOPICS: Final = ("trigger.", "health.")
WAIT_S: Final = 0.5  # longest time until a signal or a silent camera is noticed
STOP_S: Final = 5.0  # longest wait, in all, for a push on its way

log = logging.getLogger(__name__)


class Receiver:
    """Decides which pushes the receiver of one `[[notify]]` section gets, and when."""

    def __init__(
        self,
        row: Notify,
        title: str,
        queues: Sequence[PushQueue],
        position: tuple[float, float] | None,
    ) -> None:
        """title: the beginning of each push's title. position: of the camera, for the sun."""
        self.queues = queues
        self._row = row
        self._title = title
        self._quiet = Schedule(row.quiet, position) if row.quiet else None
        self._limits = {
            "triggers": Limit(row.min_interval_s, row.per_hour),
            "problems": Limit(0, row.per_hour),
        }
        self._left_out = 0
        self._told: dict[str, str] = {}  # the problems that this receiver knows of

    def trigger(self, trigger: Trigger, jpeg: bytes | None, now_ns: int, now_s: float) -> None:
        """now_ns: Unix time. now_s: monotonic."""
        row = self._row
        if "triggers" not in row.events or (row.rules and trigger.rule not in row.rules):
            return
        if self._is_quiet(now_ns) or not self._limits["triggers"].take(now_s):
            self._left_out += 1
            return
        text = text_of(trigger)
        if self._left_out:
            text += f"\nand {self._left_out} more since the last push"
            self._left_out = 0
        self._push(Push(f"{self._title}: {trigger.label}", text, jpeg if row.picture else None))

    def problems(self, settled: dict[str, str], now_ns: int, now_s: float) -> None:
        """Pushes what has begun or ended since the last time that a push was possible."""
        if "problems" not in self._row.events or settled.keys() == self._told.keys():
            return
        if self._is_quiet(now_ns) or not self._limits["problems"].take(now_s):
            return
        begun = [text for key, text in settled.items() if key not in self._told]
        over = [text for key, text in self._told.items() if key not in settled]
        self._told = dict(settled)
        word = "problem" if begun else "OK again" if not settled else "problem over"
        lines = [*begun, *(f"over: {text}" for text in over)]
        self._push(Push(f"{self._title}: {word}", "\n".join(lines)))

    def _is_quiet(self, now_ns: int) -> bool:
        return self._quiet is not None and now_ns in self._quiet

    def _push(self, push: Push) -> None:
        for queue in self.queues:
            queue.put(push)


class Notifier:
    """The bridge of one camera. Call `step` repeatedly, in one thread, after `start`."""

    def __init__(
        self,
        settings: Settings,
        subscriber: Subscriber,
        receivers: Sequence[Receiver],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._camera = settings.camera
        self._subscriber = subscriber
        self._receivers = receivers
        self._queues = [queue for receiver in receivers for queue in receiver.queues]
        self._now_s = now_s
        self._problems = Problems(settings.health.interval_s, now_s())
        self._status = ""

    def start(self) -> None:
        log.info("pushes of %s go to %d addresses", self._camera, len(self._queues))
        for queue in self._queues:
            queue.start()

    def step(self) -> None:
        """Waits up to 0.5 s for a message, and queues the pushes that are due.

        Raises ConfigError if the camera is another one, and the error that ended a queue.
        """
        event = self._subscriber.receive(WAIT_S)
        now_s = self._now_s()
        if event is not None:
            self._note(event, now_s)
        self._problems.check(now_s)
        for receiver in self._receivers:
            receiver.problems(self._problems.settled, time.time_ns(), now_s)
        for queue in self._queues:
            queue.raise_error()
        self._report()

    def stop(self) -> None:
        """Ends the threads. What was not delivered is lost."""
        for queue in self._queues:
            queue.request_stop()
        end_s = time.monotonic() + STOP_S
        for queue in self._queues:
            try:
                queue.join(max(0.0, end_s - time.monotonic()))
            except StuckThreadError as error:
                log.warning("%s", error)

    def _note(self, event: Event, now_s: float) -> None:
        message = event.message
        assert message.header is not None
        if message.header.camera != self._camera:
            raise ConfigError(
                f"the daemon's camera is {message.header.camera}, but the configuration names "
                f"{self._camera}: give both programs the same configuration"
            )
        match message:
            case Trigger():
                for receiver in self._receivers:
                    receiver.trigger(message, event.jpeg, time.time_ns(), now_s)
            case Health():
                self._problems.note(message, now_s)

    def _report(self) -> None:
        """Shows in `systemctl status` whether pushes arrive."""
        away = [f"{queue.name}: {queue.away}" for queue in self._queues if queue.away]
        status = "; ".join(away) or f"pushes go to {len(self._queues)} addresses"
        if status != self._status:
            notify(f"STATUS={status}")
        self._status = status


def text_of(trigger: Trigger) -> str:
    """For instance `person 87% in path, 14:03:22, rule visitors`, in local time."""
    assert trigger.header is not None
    at = trigger.header.wall_time.astimezone()
    where = f" in {', '.join(trigger.zones)}" if trigger.zones else ""
    return f"{trigger.label} {trigger.score:.0%}{where}, {at:%H:%M:%S}, rule {trigger.rule}"


def title_of(settings: Settings) -> str:
    """The beginning of titles: the camera, and its place if it has a name."""
    site = settings.site.name
    return f"{settings.camera}, {site}" if site else settings.camera


def sample_push(settings: Settings) -> Push:
    """What `edge bridge notify --test` sends: with a picture, as some services refuse those."""
    picture = BytesIO()
    Image.new("RGB", (160, 90), "teal").save(picture, "JPEG")
    at = datetime.now().astimezone()
    text = f"a test, {at:%H:%M:%S}: pushes with a picture arrive here"
    return Push(f"{title_of(settings)}: test", text, picture.getvalue())


def receivers_of(settings: Settings) -> list[Receiver]:
    """One for each `[[notify]]` section. Raises ConfigError."""
    title, position = title_of(settings), settings.site.position
    return [
        Receiver(row, title, [PushQueue(address) for address in addresses], position)
        for row, addresses in addresses_of_all(settings)
    ]


def addresses_of_all(settings: Settings) -> list[tuple[Notify, list[Address]]]:
    """The sections with their addresses. Raises ConfigError, also if there is no section."""
    keep_logs_private()
    if not settings.notify:
        raise ConfigError(
            "the configuration has no [[notify]] section: add one with name and url_file; "
            "`edge config explain notify` lists its keys"
        )
    found = [
        (row, addresses_of(row, f"notify[{index}]")) for index, row in enumerate(settings.notify)
    ]
    count = sum(len(addresses) for _, addresses in found)
    if count > MAX_ADDRESSES:
        raise ConfigError(
            f"the [[notify]] sections have {count} addresses, and at most {MAX_ADDRESSES} are "
            "possible; remove some"
        )
    return found
