"""References that keep nothing alive, so that objects end without the garbage collector.

Buffers, models and sockets of a part must go when its last user drops it. A part that gives its own
method to a part that it owns would be in a reference cycle, and would stay until a collection.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import MethodType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def weakly(call: Callable[P, T]) -> Callable[P, T]:
    """A method without a reference to its object; any other callable is returned unchanged.

    The result raises ReferenceError when the object is gone.
    """
    if not isinstance(call, MethodType):
        return call
    reference = weakref.WeakMethod(call)

    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        method = reference()
        if method is None:
            raise ReferenceError("the object of this method is gone")
        result: T = method(*args, **kwargs)
        return result

    return called


def without_frames(error: BaseException) -> None:
    """Removes the tracebacks of an error and of its causes, as their frames keep objects alive."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            current.__traceback__ = None
            waiting += [current.__cause__, current.__context__]
