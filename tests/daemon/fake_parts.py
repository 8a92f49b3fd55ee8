"""A daemon's parts as small fakes that record their calls and fail on request.

Supervisor, governor, problems, stall check, threads and messages are real.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edge.config.schema import CaptureSettings, GovernorSettings, HealthSettings, Settings
from edge.daemon.commands import Remote
from edge.daemon.governor import Governor
from edge.daemon.outlet import Outlet
from edge.daemon.parts import Parts
from edge.daemon.problems import Problems
from edge.daemon.progress import Progress
from edge.daemon.recovery import SourceRecovery
from edge.daemon.stalls import StallCheck, Watched
from edge.daemon.supervisor import Supervisor
from edge.messages import Health
from edge.runtime.service_thread import ServiceThread
from edge.vision.picture_check import PictureState
from edge.vision.places import Places

STALL_S, HANG_S, INTERVAL_S = 5.0, 30.0, 10.0


class FakePart:
    """Records its name in `stopped` when it is stopped. on_start, on_stop: may raise or wait."""

    def __init__(self, name: str, stopped: list[str]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.dropped = 0
        self.trouble = ""
        self.on_start: Callable[[], object] = lambda: None
        self.on_stop: Callable[[], object] = lambda: None
        self.published: list[Any] = []
        self._stopped = stopped

    def start(self) -> None:
        self.on_start()

    def stop(self, _timeout_s: float = 0.0) -> None:
        self._stopped.append(self.name)
        self.on_stop()

    def stats(self) -> dict[str, int]:
        """As `Recorder.stats`."""
        return {"frames_dropped": 0, "triggers_dropped": 0}

    def publish(self, message: Any, *_: object) -> Any:
        """As `Publisher.publish`."""
        self.published.append(message)
        return message


class FakeThread:
    """A real thread that runs until it is stopped, or until `stuck` is set if it is given."""

    def __init__(self, name: str) -> None:
        self.stuck: threading.Event | None = None
        self.error: Exception | None = None
        self._stop = threading.Event()
        self.thread = ServiceThread(name, self._run, self._stop.set)

    def _run(self) -> None:
        if self.error is not None:
            raise self.error
        (self.stuck or self._stop).wait(30)


class Rig:
    """All parts of one daemon and its supervisor.

    live: whether the source is a camera. stopped: names of the stopped fake parts, in order.
    busy_s: the busy time of the stage "inference".
    """

    def __init__(self, folder: Path, *, live: bool = True) -> None:
        self.stopped: list[str] = []
        self.control, self.hooks, self.recorder, self.publisher = (
            FakePart(name, self.stopped) for name in ("control", "hooks", "recorder", "publisher")
        )
        self.source, self.analysis = FakeThread("source"), FakeThread("analysis")
        self.busy_s = 0.0
        settings = Settings(
            capture=CaptureSettings(directory=str(folder)),
            health=HealthSettings(interval_s=INTERVAL_S),
            governor=GovernorSettings(hot_c=75),
        )
        self.parts = self._parts(settings, live)
        self.governor = Governor(settings.governor)
        self.supervisor = self._supervisor()

    @property
    def healths(self) -> list[Health]:
        """The health messages so far."""
        return [m for m in self.publisher.published if isinstance(m, Health)]

    def _parts(self, settings: Settings, live: bool) -> Parts:
        acquisition: Any = SimpleNamespace(
            thread=self.source.thread,
            live=live,
            info=None,
            frames_dropped=0,
            frames_governed=0,
            waiting="",
        )
        analysis: Any = SimpleNamespace(thread=self.analysis.thread, picture=PictureState.GOOD)
        fakes: dict[str, Any] = {
            "recorder": self.recorder,
            "publisher": self.publisher,
            "control": self.control,
            "hooks": self.hooks,
        }
        return Parts(
            settings=settings,
            model="person",
            progress=Progress(),
            problems=Problems(),
            acquisition=acquisition,
            analysis=analysis,
            remote=Remote(settings, "b007", lambda _: True),
            places=Places(),
            **fakes,
        )

    def _supervisor(self) -> Supervisor:
        parts = self.parts
        source: Any = object()  # not one that can be reopened
        inference = Watched("inference", lambda: self.busy_s, "an invocation has lasted")
        return Supervisor(
            parts,
            Outlet(parts.publisher, parts.progress),
            self.governor,
            SourceRecovery(source, stall_s=STALL_S, hang_s=HANG_S),
            StallCheck([inference], parts.problems, stall_s=STALL_S, hang_s=HANG_S),
        )
