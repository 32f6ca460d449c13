"""What commands print, for people: tables and stacks."""

from __future__ import annotations

import linecache
import os
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, Group
from rich.text import Text

from actorio._model.resources import MEMORY
from actorio.cli.columns import FittingTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from actorio._model.status import ActorStatus
    from actorio._worker.inspection import Frame, Stacks, ThreadStack
    from actorio.cli.samples import ActorSample, ProcessSample, Sample

# So many digits of an actor's id tell it from the others.
ID_LENGTH = 12
# Where the output is no terminal nobody has to see it at once: lines are not cut.
_PIPE_WIDTH = 250
_STYLES = {
    "alive": "green",
    "stuck": "bold red",
    "stopped": "bold red",
    "restarting": "yellow",
    "ending": "yellow",
    "dead": "dim",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def console() -> Console:
    """Returns a console for standard output as it is now."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(width=width, highlight=False, soft_wrap=False)


# --- sessions ----------------------------------------------------------------------------------------------------


def started(name: str, path: str, node_pid: int) -> None:
    """Prints how to join a session that was started."""
    click.echo(
        f"started session {name} (node pid {node_pid})\n"
        f"  address  {path}\n"
        f'  join     actorio.init() takes the newest session; actorio.init(address="{name}") takes this one,\n'
        f"           and so does any program under ACTORIO_ADDRESS={name}\n"
        f"  stop     actorio stop --address {name}"
    )


def stopped(name: str, actors: int | None) -> None:
    """Prints what has ended with a session; ``actors`` is None when it did not answer."""
    if actors is None:
        click.echo(f"killed session {name}, which did not answer")
        return
    click.echo(f"stopped session {name}, and {_count(actors, 'actor')} with it")


def status(found: dict[str, Any], waiting: Sequence[str]) -> None:
    """Prints what a session consists of, and who waits for whom in it."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(found["states"].items()))
    click.echo(f"session   {found['session']}, for {span(found['age'])}\naddress   {found['address']}")
    click.echo(f"node      pid {found['node_pid']}\nzygote    pid {found['zygote_pid']}")
    for driver in found["drivers"]:
        click.echo(f"driver    pid {driver['pid']}  {driver['command']}")
    click.echo(f"drivers   {len(found['drivers'])}")
    click.echo(f"actors    {found['actors']}{f' ({states})' if states else ''}")
    click.echo(f"          {found['named']} named, {found['detached']} detached, restarted {found['restarts']} times")
    click.echo(f"workers   {found['workers']}, for tasks")
    for name, total in found["resources"].items():
        free = found["available"][name]
        there = f"{size(int(free))} of {size(int(total))}" if name == MEMORY else f"{free:g} of {total:g}"
        click.echo(f"{name:<9} {there} free")
    if found["other_sessions"]:
        click.echo(f"others    {', '.join(found['other_sessions'])}")
    if waiting:
        click.echo("\n" + "\n".join(waiting))


# --- actors ------------------------------------------------------------------------------------------------------


def actors(found: Sequence[ActorStatus], session: str, now: float) -> None:
    """Prints a table of actors."""
    if not found:
        click.echo(f"session {session} has no actors")
        return
    ends = ["END"] if any(actor.end for actor in found) else []
    table = FittingTable(
        ("ID", "CLASS", "NAME", "NAMESPACE", "STATE", ">PID", ">RESTARTS", "DETACHED", ">AGE", *ends),
        spare=("NAMESPACE", "DETACHED", "RESTARTS", "AGE"),
    )
    for actor in found:
        allowed = "∞" if actor.max_restarts < 0 else str(actor.max_restarts)
        table.add_row(
            actor.actor_id[:ID_LENGTH],
            Text(actor.class_name),
            Text(actor.name),
            Text(actor.namespace),
            Text(actor.state, _STYLES.get(actor.state, "")),
            str(actor.pid or "-"),
            f"{actor.restarts}/{allowed}" if actor.max_restarts else "-",
            "yes" if actor.is_detached else "",
            span(max(0.0, now - actor.created)),
            *([Text(actor.end.partition("\n")[0])] if ends else []),
        )
    console().print(table)


# --- stacks ------------------------------------------------------------------------------------------------------


def stacks(
    actor: ActorStatus, process: str, threads: list[tuple[ThreadStack, list[Frame]]], told: Stacks | None
) -> None:
    """Prints where an actor is; with each thread come those of its frames that are the user's."""
    console().print(stacks_text(actor, process, threads, told), soft_wrap=True)


def stacks_text(
    actor: ActorStatus, process: str, threads: list[tuple[ThreadStack, list[Frame]]], told: Stacks | None
) -> Text:
    """Returns what `stacks` prints."""
    name = f" {actor.name!r}" if actor.name else ""
    text = Text(f"{actor.class_name}{name}", "bold").append(f"  pid {actor.pid}, {actor.state}, {process}\n", "default")
    if told is None:
        text.append("It does not answer: something holds its loop, or its constructor runs.\n", "bold red")
    for thread, frames in threads:
        text.append(f"\nthread {thread.name or hex(thread.ident)}", "bold cyan" if frames else "dim")
        if frames:
            text.append("\n").append(_frames(frames))
        else:
            text.append(f"  {_idle(thread.frames)}\n", "dim")
    for task in [] if told is None else told.tasks:
        text.append(f"\ntask {task.name}", "bold magenta")
        text.append(f"  awaits {task.awaits}\n" if task.awaits else "\n", "not bold")
        text.append(_frames([frame for frame in task.frames if not is_own(frame)]))
    return text


def is_own(frame: Frame) -> bool:
    """Is this a frame of this package?"""
    return frame.file.startswith(_OWN)


_OWN = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120  # a string to compare with


def _idle(frames: list[Frame]) -> str:
    if not frames:
        return "no Python code"
    return f"actorio's own, in {frames[-1].function} ({os.path.basename(frames[-1].file)}:{frames[-1].line})"  # noqa: PTH119  # a string


def _frames(frames: list[Frame]) -> Text:
    text = Text()
    for frame in frames:
        text.append(f'  File "{frame.file}", line {frame.line}, in ').append(f"{frame.function}\n", "bold")
        source = linecache.getline(frame.file, frame.line).strip()
        if source:
            text.append(f"    {source}\n", "yellow")
    return text


# --- top ---------------------------------------------------------------------------------------------------------


def top(sample: Sample, order: str, *, is_live: bool = False) -> RenderableType:
    """Returns a sample as a table, with what stands above it."""
    table = FittingTable(
        ("ID", "CLASS", "NAME", "STATE", ">PID", ">CALLS/S", ">RUN", ">QUEUED", ">P50", ">P99", ">CPU", ">MEM", ">LAG"),
        spare=("ID", "P50", "LAG", "RUN", "P99", "MEM"),
    )
    for actor in sample.actors:
        table.add_row(*_row(actor))
    keys = f"q quits, s sorts by another column (now {order})" if is_live else ""
    memory = sample.node.memory + sample.zygote.memory + sum(actor.memory for actor in sample.actors)
    head = Text(f"session {sample.session}", "bold")
    head.append(f"  {_count(len(sample.actors), 'actor')}, {_count(len(sample.drivers), 'driver')}", "not bold")
    head.append(f"  memory {size(memory)} without drivers", "not bold")
    return Group(head, _process("node", sample.node), _process("zygote", sample.zygote), Text(keys, "dim"), table)


def _process(name: str, process: ProcessSample) -> Text:
    return Text(f"{name:<8} pid {process.pid:<8} cpu {_percent(process.cpu):>5}  memory {size(process.memory)}", "dim")


def _row(actor: ActorSample) -> list[Text | str]:
    state = f"{actor.state} {span(actor.stuck_for)}" if actor.state == "stuck" else actor.state
    return [
        actor.actor_id[:ID_LENGTH],
        Text(actor.class_name),
        Text(actor.name),
        Text(state, _STYLES.get(actor.state, "")),
        str(actor.pid or "-"),
        "-" if actor.rate is None else f"{actor.rate:,.0f}",
        "-" if actor.running is None else str(actor.running),
        "-" if actor.queued is None else str(actor.queued),
        duration(actor.median),
        duration(actor.slow),
        _percent(actor.cpu),
        size(actor.memory) if actor.memory else "-",
        duration(actor.lag),
    ]


# --- quantities --------------------------------------------------------------------------------------------------


def duration(seconds: float | None) -> str:
    """Returns a short time in words: ``12 µs``, ``3.1 ms``, ``2.5 s``; ``-`` for None."""
    if seconds is None:
        return "-"
    if seconds < 1e-3:  # noqa: PLR2004  # a millisecond
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def span(seconds: float) -> str:
    """Returns a long time in words: ``5 s``, ``3 min``, ``2 h``, ``4 d``."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def size(count: int) -> str:
    """Returns a number of bytes in words, in MiB or GiB."""
    return f"{count / (1 << 20):.1f} MiB" if count < 1 << 30 else f"{count / (1 << 30):.1f} GiB"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0f}%"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
