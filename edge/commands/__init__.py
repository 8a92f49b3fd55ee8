"""The commands, one module each (or a group). `edge.cli` imports one when it is asked for."""
