"""How long a model takes here and now, by the runtime that the daemon uses."""

from __future__ import annotations

import time

import numpy as np

from edge.detector.runtime import open_interpreter

WARM_UP = 3
LEAST_RUNS = 10


def latency_ms(flatbuffer: bytes, *, threads: int = 1, budget_s: float = 1.0) -> float:
    """The median of single invocations over `budget_s` seconds, at least ten."""
    interpreter = open_interpreter(flatbuffer, threads=threads)
    (detail,) = interpreter.get_input_details()
    interpreter.tensor(detail["index"])()[:] = 0
    for _ in range(WARM_UP):
        interpreter.invoke()
    taken: list[float] = []
    end = time.perf_counter() + budget_s
    while len(taken) < LEAST_RUNS or time.perf_counter() < end:
        start = time.perf_counter()
        interpreter.invoke()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1e3
