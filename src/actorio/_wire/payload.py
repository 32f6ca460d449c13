"""Values as bytes.

Two ways to pickle, one to read. C pickle is tried first because it is ten times faster; cloudpickle takes over where
pickle refuses (lambdas, local classes) and where it accepts too much: it stores whatever belongs to `__main__` by name,
and the process that reads it has another `__main__`.

When neither can, `explain` walks the value to find the part that is to blame. The walk happens only after a failure.
"""

import functools
import io
import pickle
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

PROTOCOL: Final = 5
APART: Final = 16 << 10
"""From how many bytes on a buffer is kept out of the pickle of a large value, to be read without a copy."""
# Looked for from the end, which takes half of the time.
MAIN: Final = b"__main__"
_PLAIN: Final = frozenset({bytes, bytearray, str, int, float, complex, bool, type(None)})
_CONTAINERS: Final = frozenset({tuple, list, dict, set, frozenset})
_FEW: Final = 16
_MAX_DEPTH: Final = 40
_KEY_LIMIT: Final = 40
_MAX_PROBES: Final = 5_000

# How C pickle says that it cannot; a user's own error in `__reduce__` would come again from cloudpickle.
REFUSALS: Final = (pickle.PicklingError, AttributeError, TypeError)


class UnpicklableError(TypeError):
    """A value cannot be sent to another process. The text names the call, the path to the culprit and a remedy."""


UnpicklableError.__module__ = "actorio.exceptions"


def dumps(value: Any) -> bytes:
    """Pickle a value so that any process of the session can read it.

    Raises:
        Exception: Whatever the value's own pickling raises; `explain` says what is to blame.
    """
    try:
        data = pickle.dumps(value, PROTOCOL)
    except REFUSALS:
        return _dumps_by_value(value)
    # The search may hit a string or an array by chance: then cloudpickle only takes a little longer.
    return _dumps_by_value(value) if data.rfind(MAIN) >= 0 else data


def is_plain(value: Any, depth: int = 3) -> bool:
    """Say whether a value is data that any process knows, as far as a short look tells.

    The pickle of such a value need not be searched, which takes longer than making it when there are long bytes in it.
    """
    kind = value.__class__
    if kind in _PLAIN:
        return True
    if not depth or kind not in _CONTAINERS or len(value) > _FEW:
        return False
    parts = (*value, *value.values()) if kind is dict else value
    return all(is_plain(part, depth - 1) for part in parts)


class LargeBufferError(Exception):
    """A value has a buffer that is better kept out of its pickle."""


def refuse_large(buffer: pickle.PickleBuffer) -> bool:
    if memoryview(buffer).nbytes < APART:
        return True
    raise LargeBufferError


def dumps_apart(value: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """Pickle a value without its large buffers; return the pickle and these. See `dumps`."""
    buffers: list[pickle.PickleBuffer] = []

    def is_kept_in(buffer: pickle.PickleBuffer) -> bool:
        if memoryview(buffer).nbytes < APART:
            return True
        buffers.append(buffer)
        return False

    try:
        data = pickle.dumps(value, PROTOCOL, buffer_callback=is_kept_in)
    except REFUSALS:
        pass
    else:
        if data.rfind(MAIN) < 0:
            return data, buffers
    buffers.clear()
    return _dumps_by_value(value, is_kept_in), buffers


def _dumps_by_value(value: Any, is_kept_in: Callable[[pickle.PickleBuffer], bool] | None = None) -> bytes:
    file = io.BytesIO()
    _pickler()(file, protocol=PROTOCOL, buffer_callback=is_kept_in).dump(value)
    return file.getvalue()


@functools.cache
def _pickler() -> Any:
    # Imported on first use: a program that sends only plain data from importable modules never pays for it.
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        """Sends views as views; cloudpickle would make bytes of them."""

        def reducer_override(self, value: Any) -> Any:
            if type(value) is memoryview and value.c_contiguous and len(value.format) == 1:
                return _view_of, (pickle.PickleBuffer(value), value.format, value.shape)
            return super().reducer_override(value)

    return Pickler


def _view_of(buffer: Any, code: Any, shape: tuple[int, ...]) -> Any:
    view = memoryview(buffer).cast("B")
    return view.cast(code, shape) if view.nbytes else view.cast(code)


loads: Final = pickle.loads
"""Read a value back. Raises whatever the value's own unpickling raises."""

NONE: Final = dumps(None)
"""The payload of None, the commonest result."""


def explain(value: Any, root: str, call: str) -> str:
    """Say why a value cannot be pickled and what to do.

    Args:
        value: What could not be pickled.
        root: What to call it in the path: `"args"`, `"result"`.
        call: The call it belongs to: `"Account.deposit"`.
    """
    found = _search(value, root)
    if found is None:
        return f"{root} of {call}() can be pickled here"
    path, part, why = found
    text = f"{call}(): {path} ({_type_name(part)}) cannot be pickled"
    return f"{text}: {type(why).__name__}: {why}. {_remedy(part)}"


def culprit(value: Any, root: str) -> str | None:
    """Return the path to the part that cannot be pickled, with its type: `args[0].client._lock (_thread.lock)`.

    The walk follows dicts, sequences, sets, attributes, slots, closures, defaults and what `__reduce__` and
    `__getstate__` give; it ends after a bounded number of steps with the nearest part it has found.

    Returns:
        The path, or None when the value can be pickled.
    """
    found = _search(value, root)
    return None if found is None else f"{found[0]} ({_type_name(found[1])})"


def _search(value: Any, root: str) -> tuple[str, Any, Exception] | None:
    why = _refusal(value)
    if why is None:
        return None
    found = (root, value, why)
    # Holds the objects, not only their ids: parts are often made for the occasion, and an id may be used again.
    seen = {id(value): value}
    for _ in range(_MAX_DEPTH):
        path, part, _ = found
        deeper = _first_refusing(_parts(part), seen)
        if deeper is None:
            break
        found = (path + deeper[0], deeper[1], deeper[2])
    return found


def _first_refusing(parts: Iterator[tuple[str, Any]], seen: dict[int, Any]) -> tuple[str, Any, Exception] | None:
    for step, part in parts:
        if len(seen) >= _MAX_PROBES:
            break
        if id(part) not in seen:
            seen[id(part)] = part
            why = _refusal(part)
            if why is not None:
                return step, part, why
    return None


def _refusal(value: Any) -> Exception | None:
    try:
        dumps(value)
    except Exception as why:
        return why
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a value is pickled from, each with its step of the path."""
    if type(value) is dict:
        for key, each in value.items():
            yield f"[{_short(key)}]", each
        yield from ((f".keys()[{i}]", key) for i, key in enumerate(value))
    elif type(value) in (list, tuple):
        yield from ((f"[{i}]", each) for i, each in enumerate(value))
    elif type(value) in (set, frozenset):
        yield from ((f"{{{_short(each)}}}", each) for each in value)
    elif isinstance(value, types.FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, types.MethodType):
        yield from ((".__self__", value.__self__), (".__func__", value.__func__))
    elif isinstance(value, functools.partial):
        yield from ((".func", value.func), (".args", value.args), (".keywords", value.keywords))
    elif isinstance(value, type):
        yield from ((f".{name}", each) for name, each in vars(value).items() if not _is_machinery(each))
    else:
        yield from _parts_of_object(value)


def _is_machinery(attribute: Any) -> bool:
    return isinstance(attribute, (types.GetSetDescriptorType, types.MemberDescriptorType))


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f".__closure__[{name!r}]", cell.cell_contents
        except ValueError:
            continue  # A cell that is not filled yet holds nothing to blame.
    yield ".__defaults__", function.__defaults__
    yield ".__kwdefaults__", function.__kwdefaults__
    for name in sorted(_global_names(function.__code__)):
        if name in function.__globals__:
            yield f".__globals__[{name!r}]", function.__globals__[name]
    yield ".__dict__", function.__dict__


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _parts_of_object(value: Any) -> Iterator[tuple[str, Any]]:
    try:
        reduced = value.__reduce_ex__(PROTOCOL)
    except Exception:
        return  # It refuses as a whole: the culprit itself.
    if not isinstance(reduced, tuple):
        return
    args, state, items, pairs = (*reduced[1:5], None, None, None)[:4]
    yield from _parts_of_state(state)
    yield from ((f"[{i}]", each) for i, each in enumerate(items or ()))
    yield from ((f"[{_short(key)}]", each) for key, each in pairs or ())
    step = ".args" if isinstance(value, BaseException) else ".__reduce__()[1]"
    for i, each in enumerate(args if isinstance(args, tuple) else ()):
        yield (".__class__", each) if each is type(value) else (f"{step}[{i}]", each)


def _parts_of_state(state: Any) -> Iterator[tuple[str, Any]]:
    # An object with slots has the pair of its __dict__ and its slots for a state.
    halves: tuple[Any, ...] = state if isinstance(state, tuple) else (state,)
    if all(half is None or isinstance(half, dict) for half in halves):
        for half in halves:
            yield from ((f".{name}", each) for name, each in (half or {}).items())
    else:
        yield ".__getstate__()", state


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
    return text if len(text) <= _KEY_LIMIT else text[: _KEY_LIMIT - 3] + "..."


def _type_name(value: Any) -> str:
    kind = type(value)
    home = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    return f"{home}{kind.__qualname__}"


_GENERATORS: Final = (
    "Send a list of its items instead. A method that is itself a generator streams them, unless num_returns says "
    "otherwise, and so does a generator that is a whole argument of a method or function."
)
_REMEDIES: Final = {
    "generator": _GENERATORS,
    "async_generator": _GENERATORS,
    "coroutine": "Await it first and send the result.",
    "module": "Import it inside the function that uses it.",
    "_thread.lock": "A lock guards one process only: create it in the actor's __init__.",
    "_thread.RLock": "A lock guards one process only: create it in the actor's __init__.",
    "_io.TextIOWrapper": "Send the file's path and open it in the actor.",
    "_io.BufferedReader": "Send the file's path and open it in the actor.",
    "_io.BufferedWriter": "Send the file's path and open it in the actor.",
    "socket.socket": "Send the address and connect in the actor.",
    "sqlite3.Connection": "Send the database's path and connect in the actor.",
}


def _remedy(part: Any) -> str:
    general = "Create it in the process that uses it, or leave it out in the owner's __getstate__."
    return _REMEDIES.get(_type_name(part), general)
