"""`edge run` as a service: signals, the service manager, and the reload of the configuration.

A reload reads and checks the configuration, and applies it to the running daemon if the parts can
take up all that changed (`edge.daemon.live.LIVE`). Otherwise it is a restart of the daemon within
this process that can't fail halfway: the model is loaded and the next daemon is made while the
present one runs. Only then does the present one finish its captures and end, and the next one takes
its place. If that one fails before its first frame, the previous configuration is used again, with
the new privacy masks.
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
from edge.daemon.live import can_be_live, changed
from edge.daemon.outlet import Listener
from edge.errors import EdgeError, TemporaryError
from edge.runtime.memory import release_memory, use_one_arena
from edge.runtime.notify import ServiceManager
from edge.runtime.signals import Signals
from edge.runtime.weak import weakly, without_frames

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
        use_one_arena()
        self._load = load
        self._listener = listener
        self._on_start = on_start or (lambda _: None)
        self._manager = ServiceManager()
        self._lock = threading.Lock()
        self._stopping = False
        self._last_events_ns: dict[str, int] = {}  # so that cooldowns outlive a daemon
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
            except Exception as error:
                if proven is None or self._daemon.progress.frames:
                    raise
                self._go_back(_with_masks_of(self._daemon.settings, proven), error)
                without_frames(error)  # they hold the daemon that failed
                proven = None
                continue
            with self._lock:
                if self._stopping or self._next is None:
                    return self._daemon
                proven = self._daemon.settings
                self._daemon, self._next = self._next, None
            release_memory()

    def stop(self) -> None:
        """Makes `run` end soon, after the captures in progress."""
        with self._lock:
            self._stopping = True
            self._manager.stopping()
            self._daemon.stop()

    def reload(self) -> str:
        """Reads the configuration again and applies it; returns the result as a sentence.

        To refuse, it raises EdgeError and changes nothing, whatever was wrong.
        """
        with self._lock:
            if self._stopping:
                raise ReloadError("the daemon is stopping and does not reload its configuration")
            if self._load is None:
                raise ReloadError("there is no configuration file to read again")
            self._manager.reloading()
            try:
                text = self._apply(self._load())
            except Exception as error:
                self._manager.ready("the old configuration stays: the new one has errors")
                self._daemon.problems.report(f"the old configuration stays: {error}", "reload")
                if isinstance(error, EdgeError):
                    raise
                log.exception("the reload failed")
                raise ReloadError(f"the reload failed: {type(error).__name__}: {error}") from error
            self._daemon.problems.clear("reload")
            if self._next is None:
                self._manager.ready(text)
            else:
                self._daemon.stop()  # the next one reports that it is ready
        return text

    def _apply(self, settings: Settings) -> str:
        """Applies settings, or makes the next daemon; returns the result as a sentence.

        Raises any error before anything is changed.
        """
        daemon = self._next or self._daemon
        sections = changed(daemon.settings, settings)
        if not sections:
            return "the configuration has not changed"
        text = f"the new configuration is in use; changed: {', '.join(sections)}"
        if can_be_live(daemon.settings, settings):
            daemon.apply(settings)
            return text
        # With a new address that is wrong, the old configuration should return.
        waits = settings.source == self._daemon.settings.source
        self._next = self._assembled(settings, waits=waits)
        return f"{text}; the daemon starts again with it"

    def reload_on_signal(self) -> None:
        """Calls `reload` and logs its result, since a signal has no reply."""
        try:
            log.info("%s", self.reload())
        except EdgeError as error:
            log.error("the old configuration stays: %s", error)

    def _assembled(self, settings: Settings, *, waits: bool = True) -> Daemon:
        reload = weakly(self.reload)
        return assemble(settings, self._listener, reload, self._last_events_ns, waits=waits)

    def _go_back(self, proven: Settings, error: Exception) -> None:
        log.error("the new configuration does not work, the previous one is used again: %s", error)
        with self._lock:
            self._daemon, self._next = self._assembled(proven), None
            self._daemon.problems.report(f"the new configuration does not work: {error}", "reload")
            if self._stopping:
                self._daemon.stop()


def _with_masks_of(new: Settings, settings: Settings) -> Settings:
    """The settings with other privacy masks: what was to be hidden stays so after a failure."""
    privacy = msgspec.structs.replace(settings.privacy, masks=new.privacy.masks)
    return msgspec.structs.replace(settings, privacy=privacy)


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
