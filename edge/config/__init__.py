"""Everything that knows the configuration file."""
