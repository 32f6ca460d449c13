"""The end of a session under load: whoever calls and waits in other threads is told, and nobody waits for ever."""

import asyncio
import threading

import pytest
from tests.programs import output_of

import actorio
from actorio.exceptions import ActorDiedError, RaySystemError

ROUNDS = 5
PATIENCE = 10.0
CALLS = 20


class Echo:
    def echo(self, value):
        return value


class AsyncEcho:
    async def echo(self, value):
        await asyncio.sleep(0)
        return value


async def gather(actors):
    await asyncio.gather(*[actor.echo.remote(number) for number in range(CALLS) for actor in actors])


def one_at_a_time(actors):
    for actor in actors:
        actorio.get(actor.echo.remote(1))


def in_batches(actors):
    refs = [actor.echo.remote(number) for number in range(CALLS) for actor in actors]
    actorio.wait(refs, num_returns=CALLS)
    actorio.get(refs)


def with_a_timeout(actors):
    actorio.get([actor.echo.remote(1) for actor in actors], timeout=PATIENCE)


def on_a_loop(actors):
    asyncio.run(gather(actors))


def with_references(actors):
    actorio.get(actors[0].echo.remote(actors[1].echo.remote(1)))


def futures(actors):
    [actor.echo.remote(1).future() for actor in actors][-1].result()


PATTERNS = (one_at_a_time, one_at_a_time, in_batches, with_a_timeout, on_a_loop, with_references, futures)


def call_until_told(pattern, actors, begun, ends):
    try:
        while True:
            pattern(actors)
            begun.release()
    except BaseException as error:
        ends.append(error)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_threads_that_call_while_the_session_ends_are_told(number):
    with actorio.init():
        actors = [actorio.remote(Echo).remote(), actorio.remote(AsyncEcho).remote()]
        begun, ends = threading.Semaphore(0), []
        threads = [
            threading.Thread(target=call_until_told, args=(each, actors, begun, ends), daemon=True) for each in PATTERNS
        ]
        for thread in threads:
            thread.start()
        for _ in range(len(threads) * (number + 1)):
            begun.acquire()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "it waits for ever"
    assert {type(end) for end in ends} <= {ActorDiedError, RaySystemError}, ends
    assert len(ends) == len(PATTERNS)


def test_a_signal_handler_may_end_the_session_that_the_program_waits_in():
    output = output_of("""
    class Endless:
        def work(self):
            time.sleep(1000)

    signal.signal(signal.SIGALRM, lambda *_: actorio.shutdown())
    ref = actorio.remote(Endless).remote().work.remote()
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        actorio.get(ref)
    except actorio.exceptions.ActorDiedError as error:
        print("its session was shut down" in str(error))
    """)
    assert output == ["True"]


def test_a_reference_that_is_asked_for_while_its_session_ends_waits_for_its_end():
    output = output_of("""
    class Stubborn:
        def work(self):
            print("working")
            time.sleep(1000)

        def __ray_shutdown__(self):
            print("ending")
            time.sleep(1000)

    heard = {"working": threading.Event(), "ending": threading.Event()}
    class Ears:
        def write(self, text):
            for word, event in heard.items():
                if word in text:
                    event.set()
        def flush(self):
            pass

    def ask():
        heard["ending"].wait()
        try:
            actorio.get(ref, timeout=0)
        except actorio.exceptions.GetTimeoutError:
            print("not yet", file=sys.__stdout__)
        print(actorio.wait([ref], timeout=0)[0], file=sys.__stdout__)
        try:
            actorio.get(ref)
        except actorio.exceptions.ActorDiedError:
            print("dead", file=sys.__stdout__)

    sys.stdout = sys.stderr = Ears()
    ref = actorio.remote(Stubborn).remote().work.remote()
    asking = threading.Thread(target=ask)
    asking.start()
    heard["working"].wait()
    actorio.shutdown()
    asking.join()
    """)
    assert output == ["not yet", "[]", "dead"]
