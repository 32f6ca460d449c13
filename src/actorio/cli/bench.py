"""The benchmarks. What measures is imported when it is asked for: no other command carries it."""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from actorio.cli import render
from actorio.cli.columns import FittingTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorio.bench.results import Results
    from actorio.bench.suite import Effort, Plan, Suite

_DEFAULT_NAME = "actorio-bench"
_FILE = click.Path(path_type=Path, dir_okay=False)
_INTERRUPTED = 130


@click.command()
@click.argument("suites", nargs=-1)
@click.option("--against", metavar="RIVALS", help="Comma-separated, or none.  [default: the floor, and all installed]")
@click.option(
    "--effort",
    type=click.Choice(["smoke", "quick", "full"]),
    default="full",
    show_default=True,
    help="smoke shows that all runs, quick is for a look, full for a claim.",
)
@click.option("--quick", "effort", flag_value="quick", help="The same as --effort quick.")
@click.option("--json", "json_file", type=_FILE, metavar="FILE", help="Where results go.  [default: a new file here]")
@click.option("--html", type=_FILE, metavar="FILE", help="Write a report, too: one page with tables and plots.")
@click.option("--png", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Write the plots, too.")
@click.option("--compare", type=_FILE, metavar="OLD.json", help="Say what has changed since an older run.")
@click.option("--with", "new", type=_FILE, metavar="NEW.json", help="Measure nothing: show these results.")
@click.option("--calls", type=click.IntRange(min=1), metavar="N", help="How many calls the soak makes.")
@click.option("--list", "is_list", is_flag=True, help="Say which suites and rivals there are.")
def bench(
    *,
    suites: tuple[str, ...],
    against: str | None,
    effort: Effort,
    json_file: Path | None,
    html: Path | None,
    png: Path | None,
    compare: Path | None,
    new: Path | None,
    calls: int | None,
    is_list: bool,
) -> None:
    """Measure actorio, next to bare sockets and to what else there is: all SUITES, or those that are named.

    One is run only when it is named: soak, which makes ten million calls and looks for whatever grows.

    The results are kept in a file: --json names it, otherwise it is actorio-bench.json in the current directory, or
    actorio-bench-2.json and so on, so that none is overwritten. Ctrl-C, or SIGTERM, ends a run early and keeps
    what it has found.

    The suites measure in sessions of their own; let nothing else run meanwhile.
    """
    if is_list:
        _list()
        return
    if new is not None and (suites or json_file or against or calls):
        raise click.UsageError(
            "--with shows results that are there: it goes with no suites, --json, --against or --calls"
        )
    if calls is not None and "soak" not in suites:
        raise click.UsageError("--calls is for the suite soak: name it")
    with _ended_quietly():
        old = _read(compare) if compare else None
        file = json_file or _free_name()
        _check_places(None if new else file, html, png)
        if new is not None:
            results, code = _read(new), 0
        else:
            chosen, plan = _load(suites), _plan(effort, against, calls)
            if against:
                _say_who_knows(chosen, plan)
            results, code = _measure(chosen, plan, file)
        _show(results, old)
        _write_reports(results, old, html, png)
    sys.exit(code)


@contextmanager
def _ended_quietly() -> Iterator[None]:
    """Has SIGTERM do what Ctrl-C does; neither is an error to tell of, before or after something was measured."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    usual = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, usual)


# --- what is asked for ----------------------------------------------------------------------------------------------


def _list() -> None:
    from actorio.bench import rivals
    from actorio.bench.suites import NAMES, OPTIONAL

    table = FittingTable(("SUITE", "WHAT IT ASKS"), spare=())
    for suite in _load([*NAMES, *OPTIONAL]):
        table.add_row(suite.name, suite.title)
    render.console().print(table)
    words = (name if rivals.is_installed(name) else f"{name} (not installed)" for name in rivals.NAMES)
    click.echo(f"\nrivals: {', '.join(words)}")


def _load(names: Sequence[str]) -> list[Suite]:
    from actorio.bench.suites import NAMES, OPTIONAL, load_suite

    known = [*NAMES, *OPTIONAL]
    for name in names:
        if name not in known:
            raise click.UsageError(f"there is no suite {name!r}; there are {', '.join(known)}")
    try:
        return [load_suite(name) for name in known if name in (names or NAMES)]
    except ModuleNotFoundError as error:
        raise _missing(error) from error


def _missing(error: ModuleNotFoundError) -> click.ClickException:
    return click.ClickException(
        f"the benchmarks need {error.name}, which is not installed: pip install 'actorio-node[bench]'"
    )


def _plan(effort: Effort, against: str | None, calls: int | None) -> Plan:
    from actorio.bench.suite import Plan

    return Plan(effort, tuple(_rivals(against)), calls=calls)


def _rivals(text: str | None) -> list[str]:
    from actorio.bench.rivals import NAMES, is_installed

    if text is None:
        return [name for name in NAMES if is_installed(name)]
    names = [name.strip() for name in text.split(",") if name.strip() not in {"", "none"}]
    for name in names:
        if name not in NAMES:
            raise click.UsageError(f"there is no rival {name!r}; there are {', '.join(NAMES)}, or none")
    return list(dict.fromkeys(names))


def _say_who_knows(suites: list[Suite], plan: Plan) -> None:
    """Rivals that were asked for do not take part in all suites: nobody should wait for their lines."""
    for rival in plan.against:
        if not all(rival in suite.rivals for suite in suites):
            knowing = [suite.name for suite in suites if rival in suite.rivals]
            click.echo(f"{rival} takes part in {', '.join(knowing) or 'none of these suites'}", err=True)


def _read(path: Path) -> Results:
    from actorio.bench.results import load

    try:
        return load(path)
    except OSError as error:
        raise click.ClickException(
            f"{path} cannot be read: {error.strerror}; name a file that `actorio bench --json FILE` has written"
        ) from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _free_name() -> Path:
    path, number = Path(f"{_DEFAULT_NAME}.json"), 1
    while path.exists():
        number += 1
        path = Path(f"{_DEFAULT_NAME}-{number}.json")
    return path


def _check_places(json_file: Path | None, html: Path | None, png: Path | None) -> None:
    """What cannot be written is said before an hour is spent."""
    for path in (json_file, html, png):
        if path is None:
            continue
        if not path.absolute().parent.is_dir():
            raise click.UsageError(f"{path} cannot be written: there is no directory {path.absolute().parent}")
        try:
            _try_place(path, is_folder=path is png)
        except OSError as error:
            raise click.UsageError(f"{path} cannot be written: {error.strerror}") from error
    if html or png:
        try:
            import actorio.bench.report  # noqa: F401  # is it there?
        except ModuleNotFoundError as error:
            raise _missing(error) from error


def _try_place(path: Path, *, is_folder: bool) -> None:
    """Leaves nothing behind. Permissions alone do not tell: /proc is nobody's to write."""
    if path.is_file():
        path.open("ab").close()
    elif path.exists() and not path.is_dir():
        # A pipe or a device: to be opened once.
        return
    elif is_folder and not path.exists():
        path.mkdir()
        path.rmdir()
    else:
        with tempfile.TemporaryFile(dir=path if is_folder else path.absolute().parent):
            pass


# --- what is done ---------------------------------------------------------------------------------------------------


def _measure(suites: list[Suite], plan: Plan, path: Path) -> tuple[Results, int]:
    from actorio.bench.progress import shown
    from actorio.bench.results import save
    from actorio.bench.running import Run

    run = Run(plan, lambda results: save(results, path))
    code = 0
    try:
        with shown(len(suites)) as show:
            run.measure(suites, show)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    words = f"the results are in {path}" if run.results.measurements else "nothing was measured, and no file is written"
    click.echo(words, err=True)
    for name, error in run.failed.items():
        click.echo(f"Error: the suite {name} has failed: {type(error).__name__}: {error}", err=True)
        code = code or 1
    return run.results, code


def _show(results: Results, old: Results | None) -> None:
    from actorio.bench.compare import comparison
    from actorio.bench.tables import tables

    console = render.console()
    console.print(tables(results) if old is None else comparison(results, old))


def _write_reports(results: Results, old: Results | None, html: Path | None, png: Path | None) -> None:
    if html:
        from actorio.bench.report import write_html

        write_html(results, html, old=old)
        click.echo(f"the report is in {html}", err=True)
    if png:
        from actorio.bench.report import write_pngs

        click.echo(f"{len(write_pngs(results, png))} plots are in {png}", err=True)
