"""The ZeroMQ side of the daemon: published messages, commands and keys."""
