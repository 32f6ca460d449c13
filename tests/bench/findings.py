"""Runs of benchmarks that nobody has made."""

from actorio.bench.results import Machine, Measurement, Results, Skipped

MACHINE = Machine(
    system="Linux", processor="Abacus", processors=2, memory_gib=8, load=0.1, python="3.11.7", versions={"uvloop": "1"}
)


def found(case="blocking", contender="actorio", values=(1.0, 2.0, 3.0), **fields):
    usual = {"suite": "calls", "metric": "calls", "unit": "1/s", "better": "more", "kind": "async"}
    if fields.get("at") is not None:
        usual["along"] = "max_concurrency"
    return Measurement(**(usual | fields), case=case, contender=contender, values=list(values))


def measured(values, contender="actorio", **fields):
    """The same of no kind of actor, where numbers are what matters."""
    return found(**({"kind": ""} | fields), contender=contender, values=values)


def run_of(*measurements, **fields):
    usual = {"machine": MACHINE, "began": "2026-01-01T00:00:00+00:00", "effort": "full", "skipped": []}
    return Results(**(usual | fields), measurements=list(measurements))


def skipped(contender="ray", reason="not installed"):
    return Skipped("calls", contender, reason)
