"""Each suite runs and yields rows of the names and units that it is known by. How fast anything is, is no promise."""

import math

import pytest

from actorio.bench import footprint
from actorio.bench.suite import Plan
from actorio.bench.suites import NAMES, OPTIONAL, load_suite

needs_proc = pytest.mark.skipif(not footprint.HAS_PROC, reason="no /proc")


def rows_of(name, **more):
    """What a suite yields with the least effort, each row looked at."""
    skipped = []
    rows = list(load_suite(name).measure(Plan("smoke", skip=skipped.append, **more)))
    assert skipped == []
    assert len({(row.cell, row.contender) for row in rows}) == len(rows)
    for row in rows:
        assert row.suite == name
        assert row.values
        assert all(math.isfinite(value) for value in row.values)
    return rows


def seen(rows):
    return {(row.contender, row.metric, row.unit, row.better) for row in rows}


def cases(rows):
    return {row.case for row in rows}


@pytest.mark.parametrize("name", ["objects", "streams", "spawn", "memory", "control", *OPTIONAL])
def test_a_suite_says_what_it_asks_and_how_to_read_its_answer(name):
    suite = load_suite(name)
    assert suite.name == name
    assert suite.title.endswith("?")
    assert len(suite.about) > len(suite.title)


def test_what_is_optional_is_not_run_unless_it_is_named():
    assert not set(OPTIONAL) & set(NAMES)


@needs_proc
def test_objects_holds_each_case_against_a_copy_of_the_same_size():
    rows = rows_of("objects")
    assert seen(rows) == {
        ("memcpy", "time", "ms", "less"),
        ("actorio", "time", "ms", "less"),
        ("actorio", "memory", "MiB", "less"),
    }
    timed = [row for row in rows if row.metric == "time"]
    assert cases(timed) == {
        "argument",
        "result",
        "put",
        "get",
        "reference as argument",
        "result handed on",
        "argument of 8",
        "put, reference to 8",
    }
    assert {row.cell for row in timed if row.contender == "memcpy"} == {
        row.cell for row in timed if row.contender == "actorio"
    }
    assert all(row.at == 1 << 20 for row in rows)
    assert [row.kind for row in rows if row.metric == "memory"] == ["before", "after"]


@needs_proc
def test_streams_holds_both_kinds_of_actor_and_both_ways_to_take_against_the_floor():
    rows = rows_of("streams")
    assert seen(rows) == {
        (contender, metric, unit, "more")
        for contender in ("floor", "actorio")
        for metric, unit in (("items", "1/s"), ("throughput", "MiB/s"))
    } | {("actorio", "memory", "MiB", "less")}
    flowing = [row for row in rows if row.metric != "memory"]
    assert {(row.case, row.kind) for row in flowing} == {
        (f"{items}, {way}", kind)
        for items in ("small items", "items of 64 KiB")
        for way in ("for", "async for")
        for kind in ("single-threaded", "async")
    }
    assert {row.kind for row in rows if row.metric == "memory"} == {"maker", "taker"}


def test_spawn_times_starts_and_ends():
    assert {(row.case, row.metric, row.unit, row.better) for row in rows_of("spawn")} == {
        *(("session", metric, "s", "less") for metric in ("import", "init", "shutdown")),
        ("actors", "created and answering", "1/s", "more"),
        *(("10 actors", metric, "s", "less") for metric in ("answering", "called again", "shutdown")),
    }


@needs_proc
def test_memory_looks_at_actors_references_and_calls():
    rows = rows_of("memory")
    assert seen(rows) == {
        ("actorio", "memory", "MiB", "less"),
        ("actorio", "memory", "B", "less"),
        ("actorio", "CPU time", "ms", "less"),
    }
    assert {(row.case, row.kind) for row in rows} == {
        ("calls made", "driver"),
        ("calls made", "node"),
        ("calls made", "actor"),
        ("reference kept", "driver"),
        ("call that waits", "driver"),
        ("call that waits", "actor"),
        ("idle actor", ""),
        ("10 idle actors, 0.2 s", ""),
        ("20 actors", "private"),
        ("20 actors", "in all"),
    }


@needs_proc
def test_control_holds_what_carries_everything_against_what_carries_nothing():
    all_rows = rows_of("control")
    rows = [row for row in all_rows if not row.case.startswith("polling")]
    assert seen(rows) == {
        ("bare", "calls", "1/s", "more"),
        ("actorio", "calls", "1/s", "more"),
        ("actorio", "time", "ms", "less"),
    }
    assert {row.case for row in rows if row.metric == "calls"} == {
        f"{pattern}, {what}"
        for pattern in ("blocking", "batch", "await", "gather")
        for what in ("deadline and chain", "deadline, chain and variable")
    }
    assert {(row.case, row.at) for row in rows if row.metric == "time"} == {
        ("cancel 200 that wait", None),
        ("cancel 50 that run", None),
        ("circle refused", 2),
    }
    # Each number of a program that polls, and of one that does not.
    for contender in ("actorio", "asleep"):
        polling = [row for row in all_rows if row.case.startswith("polling") and row.contender == contender]
        assert [(row.case.removeprefix("polling: "), row.kind, row.metric) for row in polling] == [
            ("idle", "driver", "CPU time"),
            ("idle", "single-threaded", "CPU time"),
            ("idle", "async", "CPU time"),
            ("other tasks", "median", "lateness"),
            ("other tasks", "p99", "lateness"),
            ("other tasks", "a task that never waits", "turns"),
            ("other tasks", "calls beside both", "calls"),
            ("busy machine", "blocking", "calls"),
            ("busy machine", "await", "calls"),
            ("busy machine", "beside blocking", "work of others"),
            ("busy machine", "beside await", "work of others"),
        ]


@needs_proc
def test_soak_makes_calls_of_all_kinds_and_looks_at_every_process():
    rows = rows_of("soak", calls=4_000)
    assert seen(rows) == {
        ("actorio", "calls", "1/s", "more"),
        *(("actorio", metric, "ms", "less") for metric in ("p50", "p99", "p99.9", "max")),
        *(("actorio", metric, "MiB", "less") for metric in ("memory", "pss")),
        *(("actorio", metric, "", "less") for metric in ("descriptors", "threads", "mappings")),
    }
    assert {(row.case, row.kind) for row in rows if row.metric == "descriptors"} == {
        (process, kind)
        for process in (
            "driver",
            "node",
            "zygote",
            "single-threaded actor",
            "threaded actor",
            "async actor",
            "named actor",
        )
        for kind in ("level", "growth")
    }
