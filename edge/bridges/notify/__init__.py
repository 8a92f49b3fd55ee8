"""The bridge that sends pushes to phones."""
