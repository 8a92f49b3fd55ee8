"""The commands of `edge-train`."""
