"""GPIO lines: pulses out, and one that captures when it becomes active."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from edge.config.schema import NO_LINE, HookSettings
from edge.errors import EdgeError, MissingExtraError, PermanentError

PULLS = {"up": True, "down": False, "none": None}


class Outputs:
    """Lines that are low until they are pulsed. Belongs to one thread."""

    def __init__(self, lines: Iterable[int]) -> None:
        """Raises MissingExtraError; takes no line before `start`."""
        self._lines = sorted(set(lines) - {NO_LINE})
        self._devices: dict[int, Any] = {}
        if self._lines:
            _gpiozero()

    def start(self) -> None:
        """Raises PermanentError for a line that can't be had."""
        for line in self._lines:
            self._devices[line] = _opened(line, "DigitalOutputDevice")

    def pulse(self, line: int, duration_s: float) -> None:
        """High at once and for so long; begins anew while one is under way. Doesn't wait."""
        self._devices[line].blink(on_time=duration_s, off_time=0, n=1, background=True)

    def stop(self) -> None:
        """Lines are low and free."""
        for device in self._devices.values():
            device.close()
        self._devices.clear()


class Input:
    """A line that calls `act` each time it becomes active, in a thread of its own.

    What comes while `act` is at work is one more call, however often it came. An EdgeError of
    `act` is told to `on_error`.
    """

    def __init__(
        self, settings: HookSettings, act: Callable[[], object], on_error: Callable[[str], None]
    ) -> None:
        """Raises MissingExtraError; takes no line before `start`."""
        self._settings = settings
        self._act = act
        self._on_error = on_error
        self._active = threading.Event()
        self._stopping = False
        self._device: Any = None
        self._thread = threading.Thread(target=self._run, name="gpio-input", daemon=True)
        if settings.input_gpio != NO_LINE:
            _gpiozero()

    def start(self) -> None:
        """Raises PermanentError for a line that can't be had."""
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

    def stop(self) -> None:
        self._stopping = True
        self._active.set()
        if self._device is not None:
            self._device.close()
            self._thread.join()

    def _run(self) -> None:
        while self._active.wait() and not self._stopping:
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
        raise PermanentError(f"GPIO line {line} can't be had here: {error}") from error
