"""All hooks of one daemon."""

from __future__ import annotations

from collections.abc import Callable

from edge.config.schema import NO_LINE, Settings, TriggerRule
from edge.hooks.command import CommandRunner, check_program
from edge.hooks.gpio import Input, Outputs
from edge.messages import Trigger, encode

STOP_S = 2.0  # for commands that run when the daemon ends


class Hooks:
    """Called with each trigger that was published. Failures are sentences to `on_error`."""

    def __init__(
        self, settings: Settings, capture: Callable[[], object], on_error: Callable[[str], None]
    ) -> None:
        """capture: what the input line does. Raises ConfigError and MissingExtraError."""
        for rule in settings.triggers:
            if rule.exec:
                check_program(rule.name, rule.exec)
        self._uses_commands = any(rule.exec for rule in settings.triggers)
        self._commands = CommandRunner(settings.hooks, on_error)
        self._outputs = Outputs(rule.gpio for rule in settings.triggers)
        self._input = Input(settings.hooks, capture, on_error)

    @property
    def dropped(self) -> int:
        """Commands that were not run, since too many were waiting."""
        return self._commands.dropped

    def start(self) -> None:
        """Raises PermanentError for a GPIO line that can't be had."""
        self._outputs.start()
        self._input.start()
        if self._uses_commands:
            self._commands.start()

    def __call__(self, rule: TriggerRule, message: Trigger) -> None:
        """`message` has its header. Doesn't wait; belongs to one thread."""
        if rule.gpio != NO_LINE:
            self._outputs.pulse(rule.gpio, rule.gpio_pulse_s)
        if rule.exec:
            self._commands.submit(rule.name, rule.exec, encode(message)[1] + b"\n")

    def stop(self) -> None:
        self._input.stop()
        self._outputs.stop()
        self._commands.stop(STOP_S)
