"""Bridges from the bus to MQTT, Prometheus and services for pushes."""
