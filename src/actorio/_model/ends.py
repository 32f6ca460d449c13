"""How an actor ends itself."""

from __future__ import annotations

from typing import NoReturn

from actorio._model.context import CURRENT_CALL, get_runtime_context


class ActorExit(SystemExit):
    """Raised by `exit_actor` through the method that called it. Catching it does not keep the actor."""


class _Wish:
    """Has this process's actor asked to end? Set before `ActorExit` is raised, which the method may catch.

    Attributes:
        call: the call that has asked, which ends the actor when it ends; None for the constructor.
    """

    is_exiting = False
    call: object = None


WISH = _Wish()


def exit_actor() -> NoReturn:
    """Ends the actor that runs this code, for good. Call it in a method, plain or ``async``, or in the constructor.

    It raises, so that nothing after it runs. Calls that run beside this one finish; this call and those that wait end
    with `ActorDiedError`. Then the clean-up hook runs, as on every graceful end. The actor is not restarted.

    Raises:
        TypeError: this is not an actor.
    """
    if get_runtime_context().actor_id is None:
        raise TypeError("exit_actor() ends the actor that calls it, and this process is none: use actorio.kill(handle)")
    WISH.is_exiting, WISH.call = True, CURRENT_CALL.get()
    raise ActorExit
