"""`edge run` as a service: signals, the service manager, and a new daemon on each reload.

A reload is a restart that can't fail halfway: the configuration is read and checked, the model is
loaded and the next daemon is made while the present one runs. Only then does the present one finish
its captures and end, and the next one takes its place. If that one fails before its first frame,
the previous configuration is used again.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable

import msgspec

from edge.config.schema import Settings
from edge.daemon.assemble import assemble
from edge.daemon.daemon import Daemon
from edge.daemon.outlet import Listener
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
        """load: reads the configuration again. on_start: receives each daemon before it runs.

        Raises EdgeError as `assemble` does.
        """
        self._load = load
        self._listener = listener
        self._on_start = on_start or (lambda _: None)
        self._manager = ServiceManager()
        self._lock = threading.Lock()
        self._stopping = False
        self._next: Daemon | None = None
        self._daemon = self._assembled(settings)

    def run(self) -> Daemon:
        """Runs until the source ends or `stop` is called; returns the last daemon.

        Raises any error that ended it.
        """
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
        """Makes `run` end soon, after the captures in progress."""
        with self._lock:
            self._stopping = True
            self._manager.stopping()
            self._daemon.stop()

    def reload(self) -> str:
        """Reads the configuration again and applies it; returns the result as a sentence.

        To refuse, it raises EdgeError and changes nothing.
        """
        with self._lock:
            if self._stopping:
                raise ReloadError("the daemon is stopping and does not reload its configuration")
            if self._load is None:
                raise ReloadError("there is no configuration file to read again")
            self._manager.reloading()
            try:
                settings = self._load()
                changed = _changed((self._next or self._daemon).settings, settings)
                if changed:
                    # With a new address that is wrong, the old configuration should return.
                    waits = settings.source == self._daemon.settings.source
                    self._next = self._assembled(settings, waits=waits)
            except EdgeError as error:
                self._manager.ready("the old configuration stays: the new one has errors")
                self._daemon.problems.report(f"the old configuration stays: {error}", "reload")
                raise
            if not changed:
                self._manager.ready("the configuration has not changed")
                return "the configuration has not changed"
            self._daemon.problems.clear("reload")
            self._daemon.stop()
        return f"the new configuration is in use; changed: {', '.join(changed)}"

    def reload_on_signal(self) -> None:
        """Calls `reload` and logs its result, since a signal has no reply."""
        try:
            log.info("%s", self.reload())
        except EdgeError as error:
            log.error("the old configuration stays: %s", error)

    def _assembled(self, settings: Settings, *, waits: bool = True) -> Daemon:
        return assemble(settings, self._listener, self.reload, waits=waits)

    def _go_back(self, proven: Settings, error: EdgeError) -> None:
        log.error("the new configuration does not work, the previous one is used again: %s", error)
        with self._lock:
            self._daemon, self._next = self._assembled(proven), None
            self._daemon.problems.report(f"the new configuration does not work: {error}", "reload")


def run(
    settings: Settings,
    load: Load | None = None,
    listener: Listener | None = None,
    on_start: Starting | None = None,
) -> Daemon:
    """Runs a service: SIGTERM and SIGINT end it cleanly, SIGHUP reloads. Main thread only."""
    service = Service(settings, load, listener, on_start)
    actions = {
        signal.SIGTERM: service.stop,
        signal.SIGINT: service.stop,
        signal.SIGHUP: service.reload_on_signal,
    }
    with Signals(actions):
        return service.run()


def _changed(before: Settings, after: Settings) -> list[str]:
    """Names of the sections that differ."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return [name for name in old if old[name] != new[name]]
