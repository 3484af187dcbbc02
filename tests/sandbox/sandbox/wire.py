"""What each fault does to the connection. An answer goes out here, whole or not at all or worse."""

import asyncio
import contextlib
import socket
import struct

STALL_SECONDS_MAX = 60
OVERSIZED_BYTES = 64 * 1024 * 1024
OVERSIZED_HEADER_BYTES = 1024 * 1024

_GARBAGE = b"\x00\xff\x15\x03\x01\x00\x02\x02\x28 this is not HTTP \r\n\r\n\x80\x81\x82"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST and discards

# Kinds after which nothing of an answer has been sent, for the request log.
SILENT = frozenset(
    {"drop_before", "drop_after", "reset_before", "reset_after", "stall_before", "stall_after", "garbage"}
)


async def send(connection, response, kind, spec):
    """Sends the answer as the fault wants it. False: the connection is finished.

    `response` is None for the kinds that answer nothing.
    """
    writer = connection.writer
    if kind in ("reset_before", "reset_after"):
        reset(writer)
        return False
    if kind in ("drop_before", "drop_after"):
        return False
    if kind in ("stall_before", "stall_after"):
        await _stall(connection.reader)
        return False
    if kind == "garbage":
        writer.write(_GARBAGE)
        return False
    if kind == "oversized":
        await _oversized(writer, response, connection.date())
        return False
    if kind == "oversized_header":
        response.headers += (("X-Filler", "x" * OVERSIZED_HEADER_BYTES),)
    if kind == "delay":
        await asyncio.sleep(spec.delay_seconds)
    head = response.head(connection.date(), close=connection.closing)
    if kind == "truncate":
        writer.write(head + response.body[: len(response.body) // 2])
        return False
    if kind == "slow":
        await _dribble(writer, head + response.body, spec.delay_seconds)
    else:
        writer.write(head + response.body)
        await writer.drain()
    return not connection.closing


def reset(writer):
    """RST instead of FIN. A unix socket has no RST: there it is a plain close."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _stall(reader):
    with contextlib.suppress(asyncio.TimeoutError, OSError):
        async with asyncio.timeout(STALL_SECONDS_MAX):
            while await reader.read(4096):
                pass


async def _dribble(writer, data, seconds):
    """One byte a write; sleeps only while ahead of schedule, as a timer's grain is coarser than a byte's turn."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for index in range(len(data)):
        writer.write(data[index : index + 1])
        await writer.drain()
        ahead = start + seconds * (index + 1) / len(data) - loop.time()
        if ahead > 0:
            await asyncio.sleep(ahead)


async def _oversized(writer, response, date):
    """A body without a stated length that goes on until the client leaves or 64 MiB are through."""
    block = b"a" * 65536
    chunk = b"%x\r\n%s\r\n" % (len(block), block)
    writer.write(response.head(date, close=True, framing="Transfer-Encoding: chunked"))
    start = b'{"usage":{"note":"'
    writer.write(b"%x\r\n%s\r\n" % (len(start), start))
    for _ in range(OVERSIZED_BYTES // len(block)):
        writer.write(chunk)
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
