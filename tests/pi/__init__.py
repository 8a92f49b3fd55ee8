"""Checks on the real picamera2 and on emulated aarch64; pytest does not collect them.

`make test-picamera2`, `make test-arm64` and `make bench-arm64` run them inside Debian roots.
"""
