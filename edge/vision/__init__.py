"""Turns frames into trigger events: functions and classes without threads, sockets or clocks."""
