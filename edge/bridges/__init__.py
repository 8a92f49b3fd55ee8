"""Bridges from the bus to MQTT and Prometheus."""
