"""Rivals run in processes of their own, and say why when they do not."""

import os
import signal

import pytest

from actorio.bench import rivals
from actorio.bench.patterns import Effort
from actorio.bench.rivals import process
from actorio.bench.rivals.exchange import Job
from actorio.bench.rivals.process import RivalError, running, started
from actorio.bench.suite import Plan

LITTLE = Effort(calls=2, batches=1)


@pytest.mark.parametrize("name", [name for name in rivals.NAMES if rivals.is_installed(name)])
def test_a_rival_does_each_of_its_jobs(name):
    with started(name) as rival:
        assert rival.jobs
        assert all(rival.sample(job, LITTLE) > 0 for job in rival.jobs)


def test_the_floor_sleeps_for_each_kind_and_spins_where_calls_are_made_one_at_a_time():
    with started("floor") as floor:
        cases = {(job.contender, job.case) for job in floor.jobs if job.kind == "threaded(4)"}
    sleeping = {("floor", case) for case in ("blocking", "batch", "await", "gather")}
    assert cases == sleeping | {("spinning floor", "blocking"), ("spinning floor", "await")}


def test_a_rival_that_is_not_installed_is_skipped_with_what_to_install(monkeypatch):
    monkeypatch.setitem(rivals.PACKAGES, "ray", "no_such_package")
    skipped = []
    with running(Plan("smoke", ("ray", "managers"), skip=skipped.append), "calls", ("ray",)) as there:
        assert there == []
    assert [(each.contender, each.reason) for each in skipped] == [
        ("ray", "not installed: pip install no_such_package")
    ]


def test_a_rival_that_fails_to_begin_is_skipped_with_its_last_words(monkeypatch):
    monkeypatch.setitem(rivals.PACKAGES, "nobody", "")
    with pytest.raises(RivalError, match=r"No module named .*nobody"), started("nobody"):
        pass


def test_a_rival_that_takes_too_long_to_begin_is_given_up():
    with pytest.raises(RivalError, match="no answer within 0 seconds"), started("managers", timeout=0):
        pass


def test_a_rival_that_dies_is_not_asked_again():
    with started("managers") as rival:
        (job,) = rival.jobs
        os.killpg(rival._process.pid, signal.SIGKILL)
        with pytest.raises(RivalError, match="its process has ended"):
            rival.sample(job, LITTLE)
        assert not rival.jobs


def test_a_job_that_fails_is_not_asked_for_again_and_the_others_are():
    with started("managers") as rival:
        (job,) = rival.jobs
        unknown = Job("managers", "gather", "async")
        rival.jobs |= {unknown}
        with pytest.raises(RivalError, match="KeyError"):
            rival.sample(unknown, LITTLE)
        assert rival.jobs == {job}
        assert rival.sample(job, LITTLE) > 0


def test_a_rival_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(process, "_SAMPLE_TIMEOUT", 0.05)
    with started("managers") as rival:
        (job,) = rival.jobs
        os.kill(rival._process.pid, signal.SIGSTOP)
        with pytest.raises(RivalError, match="no answer within"):
            rival.sample(job, LITTLE)
        os.kill(rival._process.pid, signal.SIGCONT)
        assert not rival.jobs


def test_an_interrupt_while_a_rival_ends_kills_it(monkeypatch):
    def interrupt(_timeout):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), started("managers") as rival:
        os.kill(rival._process.pid, signal.SIGSTOP)
        monkeypatch.setattr(rival, "_read", interrupt)
    assert rival._process.returncode == -signal.SIGKILL
