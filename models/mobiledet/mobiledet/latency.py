"""Measures a model's latency on this machine, with the runtime that the daemon uses."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from edge.vision.detector.runtime import Interpreter, open_interpreter

WARM_UP = 3  # invocations that don't count: the first ones allocate memory
MIN_ROUNDS = 10  # for a median


def latency_ms(flatbuffer: bytes, *, threads: int = 1, budget_s: float = 1.0) -> float:
    """The median latency of one model; see `latencies_ms`."""
    return latencies_ms([flatbuffer], threads=threads, budget_s=budget_s)[0]


def latencies_ms(
    flatbuffers: Sequence[bytes], *, threads: int = 1, budget_s: float = 3.0
) -> list[float]:
    """The median latencies of several models.

    They take turns, so that other load on the machine affects all of them. budget_s: time for all
    together; each is invoked at least ten times.
    """
    interpreters = [_ready(flatbuffer, threads) for flatbuffer in flatbuffers]
    taken: list[list[float]] = [[] for _ in interpreters]
    end_s = time.perf_counter() + budget_s
    while len(taken[0]) < MIN_ROUNDS or time.perf_counter() < end_s:
        for interpreter, times_s in zip(interpreters, taken, strict=True):
            start_s = time.perf_counter()
            interpreter.invoke()
            times_s.append(time.perf_counter() - start_s)
    return [float(np.median(times_s)) * 1e3 for times_s in taken]


def _ready(flatbuffer: bytes, threads: int) -> Interpreter:
    interpreter = open_interpreter(flatbuffer, threads=threads)
    (detail,) = interpreter.get_input_details()
    interpreter.tensor(detail["index"])()[:] = 0
    for _ in range(WARM_UP):
        interpreter.invoke()
    return interpreter
