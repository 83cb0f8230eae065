"""A context of its own for each task, without a scheduler task of its own."""

import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def drive(
    coroutine: Coroutine[Any, Any, T],
    context: Context,
    suspended: Callable[[], None],
    resumed: Callable[[], None],
) -> Generator[Any, Any, T]:
    """Await `coroutine` with every step of it inside `context`.

    A slot runs many tasks one after the other; run in the slot's own context, each would see the ContextVars that the
    last one set. `suspended` and `resumed` are called around each suspension (not before the first step), which costs
    nothing for a task that never suspends. Cancellation and errors pass through both ways.
    """
    run, send, throw = context.run, coroutine.send, coroutine.throw
    try:
        request = run(send, None)
        while True:
            suspended()
            try:
                answer = yield request
            except BaseException as error:  # noqa: BLE001 - whatever is thrown belongs to the coroutine
                resumed()
                request = run(throw, error)
            else:
                resumed()
                request = run(send, answer)
    except StopIteration as end:
        value: T = end.value
        return value
