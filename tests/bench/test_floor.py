"""The floor's client, when its server is gone."""

import asyncio
import socket

import pytest

from actorio.bench.floor import Client


def test_calls_of_a_floor_whose_server_has_gone_fail_and_the_loop_goes_on():
    ours, theirs = socket.socketpair()

    async def call():
        client = Client(ours)
        with client.on_loop():
            reply = client.call(1)
            # It has sent the call, and the server has not read it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            theirs.close()
            await reply

    with ours, pytest.raises(ConnectionError, match="has ended"):
        asyncio.run(call())
