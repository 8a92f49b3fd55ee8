"""Benchmarks: they compare times of one run, as times of different runs are not comparable."""
