"""`actorio bench`: what it refuses, what it writes, how it is interrupted."""

import os
import pty
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from tests.bench.findings import found, run_of, skipped

from actorio.bench.results import load, save
from actorio.bench.suite import Suite
from actorio.cli.main import actorio


def run(*arguments, code=0):
    ended = CliRunner().invoke(actorio, ["bench", *map(str, arguments)], catch_exceptions=False)
    assert ended.exit_code == code, ended.output
    return ended.stderr if code else ended.stdout


@pytest.fixture
def nothing_is_measured(monkeypatch):
    """Whoever measures fails."""
    monkeypatch.setattr("actorio.bench.running.Run.measure", None)


@pytest.fixture
def a_suite(monkeypatch):
    """In the place of each suite: one that has found something already."""

    def measure(plan):
        plan.skip(skipped(reason=f"against {', '.join(plan.against)}"))
        yield found(contender=plan.effort)

    monkeypatch.setattr("actorio.bench.suites.load_suite", lambda name: Suite(name, "", "", measure))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dances"], "there is no suite 'dances'; there are calls, concurrency"),
        (["calls", "--against", "floor,pigeons"], "there is no rival 'pigeons'; there are floor, ray"),
        (["calls", "--effort", "some"], "'some' is not one of"),
        (["calls", "--json", "no/such/place.json"], "there is no directory"),
        (["calls", "--with", "new.json"], "--with shows results that are there"),
        (["calls", "--calls", "5"], "--calls is for the suite soak"),
        (["soak", "--calls", "0"], "0 is not in the range"),
        (["calls", "--html", "/dev/null/x.html"], "there is no directory /dev/null"),
        (["calls", "--png", "/proc/no-place"], "/proc/no-place cannot be written"),
        (["calls", "--json", "/proc/no-place.json"], "/proc/no-place.json cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_measured(arguments, words, nothing_is_measured):
    assert words in run(*arguments, code=2)


def test_a_file_to_compare_with_is_read_before_anything_is_measured(tmp_path, nothing_is_measured):
    (tmp_path / "old.json").write_text("{}")
    assert "is no result of `actorio bench`" in run("calls", "--compare", tmp_path / "old.json", code=1)
    words = run("calls", "--compare", tmp_path / "older.json", code=1)
    assert "older.json cannot be read: No such file or directory; name a file that `actorio bench --json" in words


def test_results_are_written_and_printed(a_suite, tmp_path):
    text = run("calls", "--quick", "--against", "ray,floor", "--json", tmp_path / "new.json")
    results = load(tmp_path / "new.json")
    assert [(each.contender, each.values) for each in results.measurements] == [("quick", [1.0, 2.0, 3.0])]
    assert results.effort == "quick"
    assert "blocking, async" in text
    assert "calls, ray: against ray, floor" in text


def test_rivals_that_were_asked_for_are_named_with_the_suites_that_know_them(tmp_path, monkeypatch):
    known = {"calls": ("floor", "ray"), "memory": ()}
    suites = {name: Suite(name, "", "", lambda _: iter([]), rivals) for name, rivals in known.items()}
    monkeypatch.setattr("actorio.bench.suites.load_suite", suites.get)

    def said(*arguments):
        ended = CliRunner().invoke(actorio, ["bench", *arguments, "--json", str(tmp_path / "new.json")])
        return [line for line in ended.stderr.splitlines() if "takes part" in line]

    assert said("memory", "--against", "ray") == ["ray takes part in none of these suites"]
    assert said("calls", "memory", "--against", "floor") == ["floor takes part in calls"]
    assert said("calls", "--against", "floor,ray") == said("calls", "memory") == []


def test_against_none_is_against_nobody(a_suite, tmp_path):
    assert "calls, ray: against \n" in run("calls", "--against", "none", "--json", tmp_path / "new.json")


def test_without_names_all_suites_run_and_no_file_is_overwritten(a_suite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "actorio-bench.json").write_text("precious")
    run("--effort", "smoke")
    assert (tmp_path / "actorio-bench.json").read_text() == "precious"
    assert len(load(tmp_path / "actorio-bench-2.json").measurements) == 7


def test_the_soak_is_told_how_many_calls_to_make(tmp_path, monkeypatch):
    plans = []
    suite = Suite("soak", "", "", lambda plan: plans.append(plan) or iter([]))
    monkeypatch.setattr("actorio.bench.suites.load_suite", {"soak": suite}.get)
    run("soak", "--calls", "50", "--json", tmp_path / "new.json")
    assert [plan.calls for plan in plans] == [50]


def interrupted_after(*measurements, by=signal.SIGINT):
    """A suite that somebody ends when it has found so much."""

    def measure(_plan):
        yield from measurements
        signal.raise_signal(by)

    return lambda name: Suite(name, "", "", measure)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_ends_early_says_so_in_its_tables_and_its_file(number, tmp_path, monkeypatch):
    usual = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("actorio.bench.suites.load_suite", interrupted_after(found(), by=number))
    ended = CliRunner().invoke(actorio, ["bench", "calls", "spawn", "--json", str(tmp_path / "new.json")])
    assert ended.exit_code == 130
    assert "ended early: not measured: calls (in part), spawn" in ended.stdout
    assert load(tmp_path / "new.json").missing == ["calls", "spawn"]
    assert signal.getsignal(signal.SIGTERM) is usual


def test_no_file_is_written_where_nothing_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("actorio.bench.suites.load_suite", interrupted_after())
    (tmp_path / "new.json").write_text("precious")
    assert "nothing was measured" in run("calls", "--json", tmp_path / "new.json", code=130)
    run("calls", "--json", tmp_path / "newer.json", code=130)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_an_interrupt_before_anything_is_measured_is_quiet(tmp_path, monkeypatch):
    monkeypatch.setattr("actorio.bench.suites.load_suite", lambda _: signal.raise_signal(signal.SIGINT))
    assert not run("calls", "--json", tmp_path / "new.json", code=130)


def test_a_suite_that_fails_is_an_error_after_the_others(tmp_path, monkeypatch):
    def measure(plan):
        yield found()
        raise OSError("no room")

    monkeypatch.setattr("actorio.bench.suites.load_suite", lambda name: Suite(name, "", "", measure))
    assert "the suite calls has failed: OSError: no room" in run("calls", "--json", tmp_path / "new.json", code=1)
    assert len(load(tmp_path / "new.json").measurements) == 1


def test_two_files_are_compared_without_measuring(tmp_path, nothing_is_measured):
    save(run_of(found(values=[10])), tmp_path / "old.json")
    save(run_of(found(values=[25])), tmp_path / "new.json")
    assert "2.50x" in run("--compare", tmp_path / "old.json", "--with", tmp_path / "new.json")


def test_a_file_is_shown_without_measuring(tmp_path, nothing_is_measured):
    save(run_of(found()), tmp_path / "new.json")
    assert "blocking, async" in run("--with", tmp_path / "new.json")


def test_suites_and_rivals_are_listed(a_suite, monkeypatch):
    monkeypatch.setattr("actorio.bench.rivals.is_installed", lambda name: name != "ray")
    text = run("--list")
    assert [line.split()[0] for line in text.splitlines()[1:9]] == [
        *("calls", "concurrency", "objects", "streams", "spawn", "memory", "control", "soak")
    ]
    assert "rivals: floor, ray (not installed), xoscar" in text


def test_a_package_that_is_missing_is_named_with_the_extra(monkeypatch):
    def load_suite(name):
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr("actorio.bench.suites.load_suite", load_suite)
    assert "the benchmarks need numpy" in run("objects", code=1)
    assert "pip install 'actorio-node[bench]'" in run("objects", code=1)


def test_an_interrupt_ends_it_quietly_and_keeps_what_is_known(tmp_path):
    """And leaves no process, rivals among them, which the fixture of all tests looks for."""
    ours, theirs = pty.openpty()
    arguments = ["bench", "calls", "--effort", "smoke", "--against", "floor", "--json", tmp_path / "new.json"]
    command = [sys.executable, "-m", "actorio.cli", *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as process:
        os.close(theirs)
        shown = b""
        # The second cell begins, so the first is known; the run takes far longer than a signal.
        while b"batch, single" not in shown:
            shown += os.read(ours, 1 << 16)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 130
    assert "blocking, single-threaded" in output
    assert "Traceback" not in shown.decode(errors="replace")
    assert {"blocking", "blocking, with deadline"} <= {each.case for each in load(tmp_path / "new.json").measurements}


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_command_lines_packages_it_names_the_extra_of_the_benchmarks(missing):
    program = f"import sys; sys.modules[{missing!r}] = None; from actorio.cli import main; main()"
    command = [sys.executable, "-c", program, "bench", "calls"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "pip install 'actorio-node[bench]'" in ended.stderr) == (1, True)
