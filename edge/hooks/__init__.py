"""Hooks: a command or GPIO line that a trigger starts, and a GPIO line that captures."""
