"""ZeroMQ side of the daemon: the publisher."""
