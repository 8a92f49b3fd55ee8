"""Drawn footage with exact ground truth, for tests, benchmarks and demonstrations."""
