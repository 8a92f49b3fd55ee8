"""Drawn footage with exact ground truth."""
