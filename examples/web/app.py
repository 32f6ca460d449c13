"""A web application with actors: ``uvicorn examples.web.app:app --workers 4``, from the repository.

| request | what it does |
| --- | --- |
| ``GET /reports/tea?lines=50`` | a slow call of an actor that all workers share; it ends when the client goes |
| ``GET /reports/tea/live`` | the same as a stream, line by line |
| ``POST /digest`` | computes in an actor of the worker's own |
| ``GET /reports`` | what the shared actor has done so far |
| ``GET /status`` | which worker answers, and how many calls it waits for |
"""

import os
from contextlib import asynccontextmanager

from examples.web.actors import Digests, Reports
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from actorio.contrib import asgi


@asynccontextmanager
async def clients(_app):
    """What each worker has for itself: it ends with its worker."""
    yield {"digests": Digests.remote()}


app = FastAPI(lifespan=asgi.lifespan("reports", clients, actors={"reports": asgi.Shared(Reports, pause=0.05)}))
app.add_middleware(asgi.CancelOnDisconnect)


@app.get("/reports/{topic}")
async def report(request: Request, topic: str, lines: int = 10):
    return await request.state.reports.write.remote(topic, lines)


@app.get("/reports/{topic}/live")
async def live_report(request: Request, topic: str, lines: int = 10):
    async def body():
        async with request.state.reports.follow.stream(topic, lines) as stream:
            async for line in stream:
                yield line

    return StreamingResponse(body(), media_type="text/plain")


@app.post("/digest")
async def digest(request: Request):
    return await request.state.digests.digest.remote(await request.body())


@app.get("/reports")
async def reports(request: Request):
    return await request.state.reports.statistics.remote()


@app.get("/status")
async def status():
    return {"pid": os.getpid(), "waiting": asgi.pending_calls()}
