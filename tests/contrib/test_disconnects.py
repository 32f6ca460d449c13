"""`CancelOnDisconnect`, with a server that the test plays itself: what it receives from the client, and when."""

import asyncio
from contextlib import nullcontext

import pytest
import trio
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse

from actorio.contrib.asgi import CancelOnDisconnect

pytestmark = pytest.mark.anyio

EMPTY = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}
START = {"type": "http.response.start", "status": 200, "headers": []}
KIB = 1 << 10


def body(data, *, more=True):
    return {"type": "http.request", "body": data, "more_body": more}


def chunk(data, *, more=True):
    return {"type": "http.response.body", "body": data, "more_body": more}


class Client:
    """The client of one request, as a server passes it on; ``received`` is how many of its messages were taken."""

    def __init__(self, *messages, headers=()):
        self.scope = {"type": "http", "headers": list(headers)}
        self.received = 0
        self.sent = []
        self._messages = asyncio.Queue()
        self.sends(*(messages or [EMPTY]))

    def sends(self, *messages):
        for message in messages:
            self._messages.put_nowait(message)

    def leaves(self):
        self.sends(GONE)

    async def _receive(self):
        message = await self._messages.get()
        self.received += 1
        if isinstance(message, Exception):
            raise message
        if message == GONE:
            self.leaves()
        return message

    async def _send(self, message):
        self.sent.append(message)

    def is_served_by(self, app):
        return asyncio.create_task(CancelOnDisconnect(app)(self.scope, self._receive, self._send))


class Handler:
    """An application that waits until it is told to go on; ``ends`` is how it ended."""

    def __init__(self, *, reads=0, answers=()):
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.ends = []
        self.read = []
        self._reads, self._answers = reads, answers

    async def __call__(self, scope, receive, send):
        for _ in range(self._reads):
            self.read.append(await receive())
        for answer in self._answers:
            await send(answer)
        self.begun.set()
        try:
            await self.may_end.wait()
            self.ends.append("ended")
        except asyncio.CancelledError:
            # Whatever has to be put right may be awaited.
            await asyncio.sleep(0)
            self.ends.append("cancelled")
            raise


async def turns(count=20):
    """Lets everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("reads", "answers"), [(0, ()), (1, ()), (0, [START]), (1, [START, chunk(b"a part")])], ids=str
)
async def test_a_handler_is_cancelled_when_its_client_leaves(reads, answers):
    client, handler = Client(), Handler(reads=reads, answers=answers)
    serving = client.is_served_by(handler)
    await handler.begun.wait()
    assert not serving.done()
    client.leaves()
    await serving
    assert handler.ends == ["cancelled"]
    assert not serving.cancelling()
    assert client.sent == list(answers)


async def test_a_handler_that_ends_leaves_no_task_behind():
    before = asyncio.all_tasks()
    client, handler = Client(), Handler()
    handler.may_end.set()
    await client.is_served_by(handler)
    await turns(2)
    assert handler.ends == ["ended"]
    assert asyncio.all_tasks() == before


async def test_what_runs_after_the_response_is_left_alone():
    client, handler = Client(), Handler(answers=[START, chunk(b"all", more=False)])
    serving = client.is_served_by(handler)
    await handler.begun.wait()
    client.leaves()
    await turns()
    handler.may_end.set()
    await serving
    assert handler.ends == ["ended"]


async def test_an_answer_without_a_body_is_complete_all_the_same():
    client, handler = Client(), Handler(answers=[START, {"type": "http.response.body"}])
    serving = client.is_served_by(handler)
    await handler.begun.wait()
    client.leaves()
    await turns()
    handler.may_end.set()
    await serving
    assert handler.ends == ["ended"]


async def test_every_part_of_a_body_arrives_in_its_order():
    parts = [body(b"%d" % number * (10 * KIB)) for number in range(30)] + [body(b"the last", more=False)]
    client, handler = Client(*parts), Handler(reads=len(parts))
    serving = client.is_served_by(handler)
    await handler.begun.wait()
    assert handler.read == parts
    client.leaves()
    await serving
    assert handler.ends == ["cancelled"]


async def test_a_body_that_nobody_reads_is_not_read_ahead_without_end():
    client, handler = Client(*[body(b"x" * (20 * KIB))] * 50), Handler()
    serving = client.is_served_by(handler)
    await handler.begun.wait()
    await turns(200)
    assert client.received == 4
    handler.may_end.set()
    await serving


async def test_nothing_is_read_before_a_client_that_waits_for_that_is_asked():
    client = Client(body(b"x", more=False), headers=[(b"host", b"here"), (b"expect", b"100-Continue")])
    may_read = asyncio.Event()

    async def app(_scope, receive, _send):
        await may_read.wait()
        await receive()
        await asyncio.Event().wait()

    serving = client.is_served_by(app)
    await turns()
    assert client.received == 0
    may_read.set()
    await turns()
    assert client.received == 1
    client.leaves()
    await serving


async def test_an_application_that_listens_hears_that_its_client_has_gone_again_and_again():
    client, heard = Client(), []

    async def app(_scope, receive, send):
        await send(START)
        await send(chunk(b"", more=False))
        heard.extend([await receive() for _ in range(4)])

    serving = client.is_served_by(app)
    client.leaves()
    await serving
    assert heard == [EMPTY, GONE, GONE, GONE]


async def test_an_application_that_listens_in_a_task_of_its_own_hears_of_it_and_is_cancelled():
    # As streaming responses of Starlette do.
    client, heard, begun = Client(), [], asyncio.Event()

    async def listen(receive):
        while not heard or heard[-1] != GONE:
            heard.append(await receive())

    async def app(_scope, receive, _send):
        async with asyncio.TaskGroup() as group:
            group.create_task(listen(receive))
            begun.set()
            await asyncio.Event().wait()

    serving = client.is_served_by(app)
    await begun.wait()
    await turns()
    client.leaves()
    await serving
    assert heard[0] == EMPTY
    assert not serving.cancelling()


async def test_a_handler_may_finish_what_is_shielded():
    client, done, may_end, begun = Client(), [], asyncio.Event(), asyncio.Event()

    async def pay():
        await may_end.wait()
        done.append("paid")

    async def app(_scope, _receive, _send):
        paying = asyncio.create_task(pay())
        begun.set()
        try:
            await asyncio.shield(paying)
        finally:
            await paying

    serving = client.is_served_by(app)
    await begun.wait()
    client.leaves()
    await turns()
    assert not serving.done()
    may_end.set()
    await serving
    assert done == ["paid"]


async def test_a_handler_that_does_not_want_to_be_cancelled_ends_as_it_likes():
    client, begun, went_on = Client(), asyncio.Event(), []

    async def app(_scope, _receive, send):
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            await send(START)
            went_on.append(True)

    serving = client.is_served_by(app)
    await begun.wait()
    client.leaves()
    await serving
    assert (client.sent, went_on) == ([START], [True])
    assert not serving.cancelling()


@pytest.mark.parametrize("order", [["server", "client"], ["client", "server"]])
async def test_a_server_that_cancels_a_request_is_obeyed_whatever_its_client_does(order):
    client, begun, may_end = Client(), asyncio.Event(), asyncio.Event()

    async def app(_scope, _receive, _send):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            # Time for the other one.
            await asyncio.wait([asyncio.create_task(may_end.wait())])

    serving = client.is_served_by(app)
    await begun.wait()
    for who in order:
        if who == "server":
            serving.cancel()
        else:
            client.leaves()
        await turns()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await serving


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_an_application_raises_is_raised(when):
    client, begun = Client(), asyncio.Event()

    async def app(_scope, _receive, _send):
        begun.set()
        try:
            if when == "after":
                await asyncio.Event().wait()
        finally:
            raise KeyError("its own")

    serving = client.is_served_by(app)
    await begun.wait()
    client.leaves()
    with pytest.raises(KeyError, match="its own"):
        await serving
    assert not serving.cancelling()


async def test_an_error_of_the_server_reaches_the_application_that_reads():
    client = Client(body(b"x"), OSError("the server has a problem"))
    with pytest.raises(OSError, match="has a problem"):
        await client.is_served_by(Handler(reads=2))


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_what_is_no_request_passes_through_untouched(kind):
    seen = []

    async def app(*given):
        seen.extend(given)

    scope, receive, send = {"type": kind}, object(), object()
    await CancelOnDisconnect(app)(scope, receive, send)
    assert seen[0] is scope
    assert seen[1] is receive
    assert seen[2] is send


# -- under trio ----------------------------------------------------------------------------------------------------


def test_under_trio_a_handler_is_cancelled_when_its_client_leaves():
    ends = []

    async def main():
        to_app, from_client = trio.open_memory_channel(10)
        begun = trio.Event()

        async def app(_scope, receive, _send):
            assert await receive() == EMPTY
            begun.set()
            try:
                await trio.sleep_forever()
            finally:
                ends.append("cancelled")

        async with trio.open_nursery() as nursery:
            scope = {"type": "http", "headers": []}
            nursery.start_soon(CancelOnDisconnect(app), scope, from_client.receive, None)
            await to_app.send(EMPTY)
            await begun.wait()
            assert not ends
            await to_app.send(GONE)

    trio.run(main)
    assert ends == ["cancelled"]


@pytest.mark.parametrize("error", [None, KeyError("its own")])
def test_under_trio_a_handler_ends_as_it_likes(error):
    sent = []

    async def send(message):
        sent.append(message)

    async def app(_scope, _receive, send):
        await send(START)
        if error is not None:
            raise error

    async def main():
        await CancelOnDisconnect(app)({"type": "http", "headers": []}, trio.sleep_forever, send)

    with nullcontext() if error is None else pytest.raises(KeyError, match="its own"):
        trio.run(main)
    assert sent == [START]


# -- in a framework ------------------------------------------------------------------------------------------------


async def give_back(seen):
    await asyncio.sleep(0)
    seen.append("given back")


@pytest.mark.parametrize("kind", ["response", "stream", "dependency"])
async def test_handlers_of_fastapi_end_with_their_client_and_may_await_meanwhile(kind):
    app, begun, seen = FastAPI(), asyncio.Event(), []

    async def borrowed():
        try:
            yield
        finally:
            await give_back(seen)

    async def work():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            if kind == "response":
                await give_back(seen)

    @app.get("/response")
    async def response():
        await work()

    @app.get("/dependency", dependencies=[Depends(borrowed)])
    async def dependency():
        await work()

    @app.get("/stream")
    async def stream():
        async def body():
            yield "a part"
            try:
                await work()
            finally:
                seen.append("given back")

        return StreamingResponse(body())

    client = Client()
    client.scope |= {"path": f"/{kind}", "method": "GET", "query_string": b"", "asgi": {"spec_version": "2.3"}}
    serving = client.is_served_by(app)
    await begun.wait()
    client.leaves()
    await serving
    assert seen == ["given back"]
