"""`edge run` as a service: signals, the service manager, and one daemon after another on reload.

A reload is a restart that can't fail halfway: the configuration is read and checked, the model is
loaded and the next daemon is made while the present one works on. Only then does the present one
finish its captures and end, and the next takes its place. Should that one not come to its first
frame, the configuration that worked is taken up again.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable

import msgspec

from edge.config.schema import Settings
from edge.daemon.assemble import Daemon, Listener
from edge.errors import EdgeError, TemporaryError
from edge.runtime.notify import ServiceManager
from edge.runtime.signals import Signals

log = logging.getLogger(__name__)
Load = Callable[[], Settings]
Starting = Callable[[Daemon], None]


class ReloadError(TemporaryError):
    """The configuration can't be reloaded now."""


class Service:
    """Runs daemons in the main thread; `stop` and `reload` may be called from any other."""

    def __init__(
        self,
        settings: Settings,
        load: Load | None = None,
        listener: Listener | None = None,
        on_start: Starting | None = None,
    ) -> None:
        """`load` reads the configuration again. Raises EdgeError as `Daemon` does."""
        self._load = load
        self._listener = listener
        self._on_start = on_start or (lambda _: None)
        self._manager = ServiceManager()
        self._lock = threading.Lock()
        self._stopping = False
        self._next: Daemon | None = None
        self._daemon = self._made(settings)

    def run(self) -> Daemon:
        """Until the source ends or `stop` is called; the last daemon. Raises what ended it."""
        proven: Settings | None = None
        while True:
            self._on_start(self._daemon)
            try:
                self._daemon.run(self._manager)
            except EdgeError as error:
                if proven is None or self._daemon.progress.frames:
                    raise
                self._go_back(proven, error)
                proven = None
                continue
            with self._lock:
                if self._stopping or self._next is None:
                    return self._daemon
                proven = self._daemon.settings
                self._daemon, self._next = self._next, None

    def stop(self) -> None:
        """Ends `run` soon, with the captures in progress completed."""
        with self._lock:
            self._stopping = True
            self._manager.stopping()
            self._daemon.stop()

    def reload(self) -> str:
        """What came of it, as a sentence. Raises EdgeError, and has changed nothing then."""
        with self._lock:
            if self._load is None or self._stopping:
                raise ReloadError("there is no configuration to be read again")
            self._manager.reloading()
            try:
                settings = self._load()
                changed = _changed((self._next or self._daemon).settings, settings)
                if changed:
                    self._next = self._made(settings)
            except EdgeError as error:
                self._manager.ready("the old configuration stays: the new one has errors")
                self._daemon.problems.note(f"the old configuration stays: {error}", "reload")
                raise
            if not changed:
                self._manager.ready("nothing has changed in the configuration")
                return "nothing has changed in the configuration"
            self._daemon.problems.mended("reload")
            self._daemon.stop()
        return f"the new configuration is taken up; changed: {', '.join(changed)}"

    def heard_reload(self) -> None:
        """As `reload`, for a signal: nobody waits for the answer, so it is logged."""
        try:
            log.info("%s", self.reload())
        except EdgeError as error:
            log.error("the old configuration stays: %s", error)

    def _made(self, settings: Settings) -> Daemon:
        return Daemon(settings, self._listener, self.reload)

    def _go_back(self, proven: Settings, error: EdgeError) -> None:
        log.error("the new configuration does not work, the old one is back: %s", error)
        with self._lock:
            self._daemon, self._next = self._made(proven), None
            self._daemon.problems.note(f"the new configuration does not work: {error}", "reload")


def run(
    settings: Settings,
    load: Load | None = None,
    listener: Listener | None = None,
    on_start: Starting | None = None,
) -> Daemon:
    """SIGTERM and SIGINT end it cleanly, SIGHUP reloads. For the main thread."""
    service = Service(settings, load, listener, on_start)
    actions = {
        signal.SIGTERM: service.stop,
        signal.SIGINT: service.stop,
        signal.SIGHUP: service.heard_reload,
    }
    with Signals(actions):
        return service.run()


def _changed(before: Settings, after: Settings) -> list[str]:
    """Names of the sections that differ."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return [name for name in old if old[name] != new[name]]
