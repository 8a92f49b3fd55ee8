"""The configuration file: its settings, how it is loaded, explained, begun and edited."""
