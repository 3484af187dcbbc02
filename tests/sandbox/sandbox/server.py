"""Connections: one task each, requests in order, the fault of each request applied to it."""

import asyncio
import contextlib
import os
import ssl
import sys
import traceback

from . import canned, wire
from .control import PREFIX, Control
from .errors import ApiError
from .http import HEAD_BYTES_MAX, HttpError, read_request
from .kinds import IN_SUCCESSES, KINDS

TLS_FAREWELL_SECONDS = 1


class Connection:
    def __init__(self, number, reader, writer, clock):
        self.number = number
        self.reader = reader
        self.writer = writer
        self.closing = False  # the client asked for it
        self.date = clock.http_date


class Server:
    def __init__(self, site, plan, clock):
        self._site = site
        self._plan = plan
        self._clock = clock
        self._control = Control(site, plan, clock)
        self._connections = 0
        self._tasks = set()
        self._server = None
        self._socket_path = None

    async def start(self, listen, tls=None):
        """Binds, and says where, the way --listen says it."""
        options = {"limit": HEAD_BYTES_MAX}
        if tls:  # a drop is to be seen soon, even by a client that does not answer the farewell
            options |= {"ssl": tls, "ssl_shutdown_timeout": TLS_FAREWELL_SECONDS}
        if listen.startswith("unix:"):
            self._socket_path = listen.removeprefix("unix:")
            self._server = await asyncio.start_unix_server(self._serve, self._socket_path, **options)
            return listen
        host, _, port = listen.rpartition(":")
        self._server = await asyncio.start_server(self._serve, host.strip("[]"), int(port), **options)
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket_path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._socket_path)

    async def _serve(self, reader, writer):
        self._connections += 1
        connection = Connection(self._connections, reader, writer, self._clock)
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._requests(connection)
        except (OSError, ssl.SSLError):
            pass  # the client left first
        except asyncio.CancelledError:
            writer.transport.abort()
        except Exception:
            # A defect of the sandbox must not look like an outage of the vendor.
            traceback.print_exc(file=sys.stderr)
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
                writer.close()
                await writer.wait_closed()

    async def _requests(self, connection):
        open_ = True
        while open_:
            try:
                request = await read_request(connection.reader, connection.writer)
            except HttpError as error:  # told in Chargebee's shape, whoever it was meant for: undocumented by both
                connection.closing = True
                response = ApiError(error.status, "invalid_request", error.message).response()
                await wire.send(connection, response, None, self._plan.spec)
                return
            if request is None:
                return
            connection.closing = request.wants_close()
            if request.path.startswith(PREFIX):
                response = self._control.handle(request)
                open_ = await wire.send(connection, response, None, self._plan.spec)
            else:
                open_ = await self._api_request(connection, request)

    async def _api_request(self, connection, request):
        spec = self._plan.spec
        kind, response = self._answer(request)
        if kind:
            self._plan.counts[kind] += 1
        status = None if kind in wire.SILENT else response.status
        self._control.log(request, connection.number, response, status, kind)
        return await wire.send(connection, response, kind, spec)

    def _answer(self, request):
        """(the fault that took effect, the answer to send). The request is carried out here or not at all."""
        vendor = self._site.vendor(request)
        kind = self._plan.next(vendor.name)
        if kind and not (vendor.name in KINDS[kind].vendors and vendor.meets(kind, request)):
            kind = None
        if kind is None:
            return None, vendor.handle(request)
        own = vendor.handle(request, kind) if KINDS[kind].applied else None
        if kind in IN_SUCCESSES and (own.error_code or own.replayed or own.spared):
            return None, own
        instead = canned.answer(kind, vendor, self._plan.spec, self._clock)
        return kind, instead.noted_as(own) if instead and own else instead or own
