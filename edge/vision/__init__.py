"""Frames to trigger events: pure functions and classes without thread, socket, clock or file."""
