"""Connections to a server in this process."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from mirnet.web import serving


def test_who_sends_half_a_head_is_hung_up_on_also_the_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("yes")(scope, receive, send)

    async def converse() -> tuple[bytes, float]:
        config = uvicorn.Config(answer, http=serving._Protocol, lifespan="off", log_config=None)
        config.load()
        loop, state = asyncio.get_running_loop(), ServerState()
        server = await loop.create_server(
            lambda: serving._Protocol(config, state, {}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            await reader.readuntil(b"yes")
        await asyncio.sleep(0.4)  # an idle connection is kept
        writer.write(b"GET / HTTP/1.1\r\n")
        began = loop.time()
        rest = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        server.close()
        return rest, loop.time() - began

    monkeypatch.setattr(serving, "HEAD_S", 0.2)
    rest, took_s = asyncio.run(converse())
    assert (rest, took_s < 10) == (b"", True)
