"""Actions of a trigger besides captures: a command, a GPIO line; and a GPIO line that captures."""
