"""The camera source against the real picamera2 and libcamera: `make test-picamera2`.

These run inside a Debian root that scripts/pi/test-picamera2 prepares; pytest doesn't collect them.
"""
