"""What a trigger does besides capturing: a command, a GPIO line; and a line that captures."""
