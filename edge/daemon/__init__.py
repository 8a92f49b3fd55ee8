"""The daemon: wiring, threads, supervision and remote control."""
