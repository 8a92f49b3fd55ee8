"""The commands, one module each. `edge.cli` imports a module when its command is called."""
