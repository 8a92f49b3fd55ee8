"""GPIO lines: outputs that are pulsed, and one input that requests captures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from edge.config.schema import NO_LINE, HookSettings
from edge.errors import EdgeError, MissingExtraError, PermanentError
from edge.runtime.service_thread import ServiceThread

PULLS: Final = {"up": True, "down": False, "none": None}  # as gpiozero's `pull_up`


class Outputs:
    """Lines that are low except during a pulse. Belongs to one thread."""

    def __init__(self, lines: Iterable[int]) -> None:
        """Raises MissingExtraError. Opens no line before `start`."""
        self._lines = sorted(set(lines) - {NO_LINE})
        self._devices: dict[int, Any] = {}
        if self._lines:
            _gpiozero()

    def start(self) -> None:
        """Raises PermanentError for a line that can't be opened."""
        for line in self._lines:
            self._devices[line] = _opened(line, "DigitalOutputDevice")

    def pulse(self, line: int, duration_s: float) -> None:
        """Sets the line high for `duration_s` from now, also during a pulse. Doesn't wait."""
        self._devices[line].blink(on_time=duration_s, off_time=0, n=1, background=True)

    def stop(self) -> None:
        """Sets the lines low and releases them."""
        for device in self._devices.values():
            device.close()
        self._devices.clear()


class Input:
    """A line that calls `act`, in a thread, each time it becomes active.

    Activations during a call of `act` together make one more call. `on_error` receives the sentence
    of an EdgeError that `act` raises.
    """

    def __init__(
        self, settings: HookSettings, act: Callable[[], object], on_error: Callable[[str], object]
    ) -> None:
        """Raises MissingExtraError. Opens no line before `start`."""
        self._settings = settings
        self._act = act
        self._on_error = on_error
        self._active = threading.Event()
        self._device: Any = None
        self._thread = ServiceThread("gpio-input", self._run, self._active.set)
        if settings.input_gpio != NO_LINE:
            _gpiozero()

    def start(self) -> None:
        """Raises PermanentError for a line that can't be opened."""
        settings = self._settings
        if settings.input_gpio == NO_LINE:
            return
        pull_up = PULLS[settings.input_pull]
        self._device = _opened(
            settings.input_gpio,
            "DigitalInputDevice",
            pull_up=pull_up,
            active_state=True if pull_up is None else None,
            bounce_time=settings.input_bounce_s or None,
        )
        self._device.when_activated = self._active.set
        self._thread.start()

    @property
    def error(self) -> BaseException | None:
        """The exception that ended the thread early."""
        return self._thread.error

    def stop(self, timeout_s: float) -> None:
        """Releases the line and waits for `act`. Raises StuckThreadError if it doesn't end."""
        if self._device is not None:
            self._device.close()
        self._thread.stop(timeout_s)

    def _run(self) -> None:
        while self._active.wait() and not self._thread.stopping:
            self._active.clear()
            try:
                self._act()
            except EdgeError as error:
                self._on_error(f"GPIO line {self._settings.input_gpio}: {error}")


def _gpiozero() -> Any:
    try:
        import gpiozero
    except ImportError as error:
        raise MissingExtraError("GPIO", "gpio") from error
    return gpiozero


def _opened(line: int, kind: str, **options: object) -> Any:
    gpiozero = _gpiozero()
    try:
        return getattr(gpiozero, kind)(line, **options)
    except (gpiozero.GPIOZeroError, OSError, RuntimeError, ValueError) as error:
        raise PermanentError(f"GPIO line {line} can't be opened: {error}") from error
