"""An actor that sends itself sends its handle: wherever ``self`` is in what leaves, also inside containers."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from actorio._model.argument import OWN
from actorio._store.senders import is_sending


def send_as_handle(cls: type) -> None:
    """Has the one instance of an actor's class leave this process as a handle."""
    original: Any = cls.__reduce_ex__

    def reduce_ex(self: Any, protocol: Any) -> Any:
        if self is OWN.instance and OWN.handle is not None and is_sending(sys._getframe(1)):  # noqa: SLF001
            return OWN.handle.__reduce__()
        return original(self, protocol)

    # A class that takes no attributes (an extension's) goes its own way.
    with suppress(TypeError, AttributeError):
        cls.__reduce_ex__ = reduce_ex  # type: ignore[assignment,method-assign]
