"""A TCP proxy that can cut, swallow or delay for ever what passes between a program and a server.

    proxy = Proxy(server_port)
    proxy.cut()          # every connection is reset
    proxy.black_hole()   # connections are accepted and nothing passes, in either direction
    proxy.half_open()    # the server still hears, but its answers do not arrive
    proxy.heal()         # delayed data arrives now, as after a broken link
    proxy.abandon()      # the connections that exist are dead without an error; new ones work

Who connects while the server itself is gone is disconnected, as by the server's machine.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from typing import cast

from tests.services import free_port

# close() sends a reset and forgets what is buffered
_RESET = struct.pack("ii", 1, 0)


class _End(asyncio.Protocol):
    """One end of a connection; what it reads is written to the other end."""

    other: _End
    transport: asyncio.Transport
    #: Held here, for a task that nobody holds may vanish.
    joining: asyncio.Task[None]

    def __init__(self, from_server: bool) -> None:
        self.from_server = from_server
        self._holding: set[str] = {"connecting"}
        self._delayed: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def hold(self, why: str) -> None:
        """Stop reading for a reason; the sender's own buffers fill up."""
        if not self._holding:
            self.transport.pause_reading()
        self._holding.add(why)

    def release(self, why: str) -> None:
        """Read on when no other reason holds."""
        if why in self._holding:
            self._holding.remove(why)
            if not self._holding:
                self.other.transport.writelines(self._delayed)
                self._delayed.clear()
                self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        # before Python 3.11.4 a transport reads on when it is paused as soon as it is made
        if self._holding:
            self._delayed.append(data)
        else:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        self.other.hold("full")

    def resume_writing(self) -> None:
        self.other.release("full")

    def connection_lost(self, _error: Exception | None) -> None:
        if hasattr(self, "other"):
            self.other.transport.close()


class Proxy:
    """Listens on a port of its own in front of a server on this machine."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self._server_port = server_port
        self._pairs: set[tuple[_End, _End]] = set()
        self._held: frozenset[bool] = frozenset()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True)
        self._thread.start()
        self._listener = asyncio.run_coroutine_threadsafe(
            self._loop.create_server(self._accept, "127.0.0.1", self.port), self._loop
        ).result(60)

    def cut(self) -> None:
        """Reset every connection."""
        self._call(self._cut)

    def black_hole(self) -> None:
        """Let nothing pass, in either direction."""
        self._call(lambda: self._hold(frozenset((True, False))))

    def half_open(self) -> None:
        """Let nothing pass from the server to the programs."""
        self._call(lambda: self._hold(frozenset((True,))))

    def abandon(self) -> None:
        """Let nothing pass on the connections that exist, for ever and without a word."""
        self._call(self._abandon)

    def heal(self) -> None:
        """Let everything pass again."""
        self._call(lambda: self._hold(frozenset()))

    def close(self) -> None:
        """Stop listening and reset what is open."""

        def close() -> None:
            self._listener.close()
            self._cut()

        self._call(close)
        self._call(lambda: None)  # the transports close in the round after that
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def _call(self, do: Callable[[], None]) -> None:
        async def call() -> None:
            do()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(60)

    def _accept(self) -> _End:
        client, server = _End(from_server=False), _End(from_server=True)
        client.joining = self._loop.create_task(self._join(client, server))
        return client

    async def _join(self, client: _End, server: _End) -> None:
        try:
            await self._loop.create_connection(lambda: server, "127.0.0.1", self._server_port)
        except OSError:
            client.transport.abort()
            return
        if client.transport.is_closing():
            server.transport.abort()
            return
        client.other, server.other = server, client
        pair = (client, server)
        self._pairs = {p for p in self._pairs if not p[0].transport.is_closing()} | {pair}
        for end in pair:
            if end.from_server in self._held:
                end.hold("fault")
            end.release("connecting")

    def _hold(self, held: frozenset[bool]) -> None:
        self._held = held
        for end in (end for pair in self._pairs for end in pair if not end.transport.is_closing()):
            (end.hold if end.from_server in held else end.release)("fault")

    def _abandon(self) -> None:
        for end in (end for pair in self._pairs for end in pair if not end.transport.is_closing()):
            end.hold("abandoned")

    def _cut(self) -> None:
        for end in (end for pair in self._pairs for end in pair):
            raw = end.transport.get_extra_info("socket")
            if raw is not None and not end.transport.is_closing():
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.transport.abort()
        self._pairs = set()
