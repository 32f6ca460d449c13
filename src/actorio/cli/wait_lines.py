"""Who waits for whom, in words that fit 80 columns, and for programs. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from actorio._model.status import ActorStatus
    from actorio._worker.wait_report import Wait
    from actorio.cli.wait_graph import Call, Part, WaitGraph

WIDTH = 80
# So many digits of an actor's id are shown.
_ID_LENGTH = 12
# So many are shown at most: actors, lines of an actor, names in a line, circles, calls of a circle.
_MOST_ACTORS, _MOST_LINES, _MOST_NAMES, _MOST_CIRCLES, _LONGEST_CIRCLE = 20, 8, 3, 5, 24


def waiting_lines(graph: WaitGraph, silent: Sequence[ActorStatus]) -> list[str]:
    """Returns what people are shown; nothing when nobody waits.

    Args:
        graph: what is known.
        silent: the actors that have not answered.
    """
    parts = sorted(filter(_is_shown, graph.parts), key=lambda part: _rank(graph, part))
    shown = parts[:_MOST_ACTORS]
    lines = [line for part in shown for line in (f"  {_place(part.actor)}", *_few(_part_lines(graph, part)))]
    if len(parts) > len(shown):
        lines.append(f"  and {len(parts) - len(shown)} more actors, with calls that wait")
    for actor in silent[:_MOST_ACTORS]:
        lines += [f"  {_place(actor)}", "    does not answer: see `actorio stack`"]
    if len(silent) > _MOST_ACTORS:
        lines.append(f"  and {len(silent) - _MOST_ACTORS} more actors, which do not answer")
    circles = graph.circles()
    for circle in circles[:_MOST_CIRCLES]:
        lines += _circle_lines(circle)
    if len(circles) > _MOST_CIRCLES:
        lines.append(f"  and {len(circles) - _MOST_CIRCLES} more circles")
    return ["waiting", *lines] if lines else []


def _is_shown(part: Part) -> bool:
    return part.queued_count > 0 or any(call.told.waits for call in part.running)


def _rank(graph: WaitGraph, part: Part) -> tuple[bool, bool, int]:
    calls = [*part.running, *part.queued]
    is_stuck = any(call.key in graph.stuck for call in calls)
    return not is_stuck, not any(call.told.waits for call in calls), -part.queued_count


def _part_lines(graph: WaitGraph, part: Part) -> Iterator[list[str]]:
    """Yields what an actor's calls wait for, each time one line, or two."""
    for name, waits, more, count in graph.waits_of(part):
        who = f"{name}() waits for" if count == 1 else f"{count} calls of {name}() wait for"
        yield _fit("    ", who, _listed(_counted(_target(graph, wait) for wait in waits), more))
    if part.told.more_running:
        yield [f"    {part.told.more_running} more running, not shown"]
    if part.queued_count:
        yield _fit("    ", *_queue_words(part))


def _queue_words(part: Part) -> tuple[str, str]:
    count = part.queued_count
    names = Counter(call.told.name for call in part.queued)
    behind = _behind(part)
    if len(names) > 1 or part.told.more_queued:
        counted = _counted(f"{call.told.name}()" for call in part.queued)
        return f"{count} calls wait {behind}:", _listed(counted, part.told.more_queued)
    (name,) = names
    return f"{name}() waits" if count == 1 else f"{count} calls of {name}() wait", behind


def _behind(part: Part) -> str:
    running = len(part.running) + part.told.more_running
    if not part.told.limit or not running or part.actor.is_worker:
        return "for their turn" if part.queued_count > 1 else "for its turn"
    return f"behind {running} that run" if running > 1 else f"behind {part.running[0].told.name}()"


def _counted(names: Iterable[str]) -> list[str]:
    return [name if count == 1 else f"{count} of {name}" for name, count in Counter(names).items()]


def _circle_lines(circle: list[Call]) -> list[str]:
    if len(circle) == 1:
        return ["  this one waits for itself", f"    {_call(circle[0])}"]
    lines = ["  these wait for each other", f"    {_call(circle[0])}"]
    for call, following in zip(circle, [*circle[1:], circle[0]], strict=True):
        verb = "waits for" if call.is_running else "waits behind"
        verb = verb if call is circle[0] else f"which {verb}"
        lines += _fit("    ", verb, _call(following))
    if len(lines) > _LONGEST_CIRCLE:
        lines[_LONGEST_CIRCLE:] = [f"    and so on, through {len(circle)} calls in all"]
    return lines


def _call(call: Call) -> str:
    return f"{call.told.name}() (pid {call.actor.pid})"


def _target(graph: WaitGraph, wait: Wait) -> str:
    actor = graph.actor_of(wait)
    return f"{wait.name}()" if actor is None else f"{wait.name}() (pid {actor.pid})"


def _place(actor: ActorStatus) -> str:
    name = f" {actor.name!r}" if actor.name else ""
    return f"{actor.class_name}{name} {actor.actor_id[:_ID_LENGTH]} (pid {actor.pid})"


def _listed(names: list[str], more: int) -> str:
    more += len(names) - _MOST_NAMES if len(names) > _MOST_NAMES else 0
    return ", ".join(names[:_MOST_NAMES]) + (f", and {more} more" if more else "")


def _few(groups: Iterable[list[str]]) -> list[str]:
    groups = list(groups)
    lines = [line for group in groups[:_MOST_LINES] for line in group]
    return lines + [f"    and {len(groups) - _MOST_LINES} more"] * (len(groups) > _MOST_LINES)


def _fit(indent: str, first: str, second: str) -> list[str]:
    """Returns one line where there is room, otherwise several, broken between names."""
    line = f"{indent}{first} {second}"
    if len(line) <= WIDTH:
        return [line]
    lines = [f"{indent}{first}"]
    for name in second.split(", "):
        if len(lines) > 1 and len(lines[-1]) + len(name) + 3 <= WIDTH:
            lines[-1] += f", {name}"
        else:
            lines[-1] += "," * (len(lines) > 1)
            lines.append(f"{indent}  {name}")
    return lines


# --- for programs ------------------------------------------------------------------------------------------------


def waiting_dict(graph: WaitGraph, silent: Sequence[ActorStatus]) -> dict[str, Any]:
    """Returns the same as what JSON can hold."""
    return {
        "actors": [_part_dict(graph, part) for part in graph.parts if _is_shown(part)],
        "circles": [
            [{"name": call.told.name, "is_running": call.is_running} | _actor_dict(call.actor) for call in circle]
            for circle in graph.circles()
        ],
        "silent": [_actor_dict(actor) for actor in silent],
    }


def _part_dict(graph: WaitGraph, part: Part) -> dict[str, Any]:
    return _actor_dict(part.actor) | {
        "running": [
            {
                "name": call.told.name,
                "is_stuck": call.key in graph.stuck,
                "waits_for": [{"name": wait.name} | _actor_dict(graph.actor_of(wait)) for wait in call.told.waits],
            }
            for call in part.running
        ],
        "queued": [{"name": call.told.name, "is_stuck": call.key in graph.stuck} for call in part.queued],
        "running_count": len(part.running) + part.told.more_running,
        "queued_count": part.queued_count,
    }


def _actor_dict(actor: ActorStatus | None) -> dict[str, Any]:
    return {"actor_id": actor.actor_id, "pid": actor.pid} if actor is not None else {"actor_id": None, "pid": None}
