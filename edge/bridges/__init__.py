"""The bus for those who speak something else: MQTT, Prometheus."""
