"""Errors that nobody reads are reported, once; those that somebody has read are not."""

import gc
import logging
import time

import pytest

import actorio


@actorio.remote
class Plain:
    def echo(self, value=None):
        return value

    def fail(self):
        raise ValueError("failed")


def test_a_death_that_nobody_asks_about_is_reported(caplog):
    @actorio.remote
    class Broken:
        def __init__(self):
            raise LookupError("no such thing")

        def work(self):
            pass

    with actorio.init():
        Broken.remote()
        deadline = time.monotonic() + 20
        while "LookupError: no such thing" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_one_error_is_reported_once_however_many_calls_share_it(caplog):
    with actorio.init():
        actor = Plain.remote()
        failed = actor.fail.remote()
        refs = [actor.echo.remote(failed) for _ in range(3)]
        actorio.wait(refs, num_returns=3)
        del failed, refs
        gc.collect()
    assert [record.levelno for record in caplog.records if "nobody read" in record.message] == [logging.ERROR]


def test_what_was_asked_for_with_a_failure_is_not_reported(caplog):
    with actorio.init():
        actor = Plain.remote()
        with pytest.raises(ValueError, match="failed"):
            actorio.get([actor.fail.remote() for _ in range(5)])
        first = actor.fail.remote()
        last = actor.echo.remote(actor.echo.remote(first))
        with pytest.raises(ValueError, match="failed"):
            actorio.get(last)
        del first, last
        gc.collect()
    assert not caplog.records
