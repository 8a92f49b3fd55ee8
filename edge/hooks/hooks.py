"""All hooks of one daemon, behind one object that its triggers call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from edge.config.schema import NO_LINE, Settings, TriggerRule
from edge.hooks.command import CommandRunner, check_program
from edge.hooks.gpio import Input, Outputs
from edge.messages import Trigger, encode

STOP_S: Final = 2.0  # for commands and captures in progress when the daemon ends


class Hooks:
    """Call it with each published trigger. `on_error` receives a sentence for each failure."""

    def __init__(
        self, settings: Settings, capture: Callable[[], object], on_error: Callable[[str], object]
    ) -> None:
        """capture: the action of the input line. Raises ConfigError and MissingExtraError."""
        for rule in settings.triggers:
            if rule.exec:
                check_program(rule.name, rule.exec)
        self._uses_commands = any(rule.exec for rule in settings.triggers)
        self._commands = CommandRunner(settings.hooks, on_error)
        self._outputs = Outputs(rule.gpio for rule in settings.triggers)
        self._input = Input(settings.hooks, capture, on_error)

    @property
    def dropped(self) -> int:
        """Number of commands that were not run, since too many were waiting."""
        return self._commands.dropped

    @property
    def error(self) -> BaseException | None:
        """The exception that ended one of the threads early."""
        return self._commands.error or self._input.error

    def start(self) -> None:
        """Raises PermanentError for a GPIO line that can't be opened."""
        self._outputs.start()
        self._input.start()
        if self._uses_commands:
            self._commands.start()

    def __call__(self, rule: TriggerRule, message: Trigger) -> None:
        """message: with its header. Doesn't wait; belongs to one thread."""
        if rule.gpio != NO_LINE:
            self._outputs.pulse(rule.gpio, rule.gpio_pulse_s)
        if rule.exec:
            self._commands.submit(rule.name, rule.exec, encode(message)[1] + b"\n")

    def stop(self) -> None:
        """Stops all hooks, also when one fails. Raises StuckThreadError."""
        with ExitStack() as stack:  # in reverse order
            stack.callback(self._commands.stop, STOP_S)
            stack.callback(self._outputs.stop)
            stack.callback(self._input.stop, STOP_S)
