"""The framed ingest socket as its proto file documents it: the messages are compiled from that file at start."""

import importlib
import pathlib
import select
import socket
import struct
import subprocess
import sys

from harness import ROOT

MAGIC = b"mtr\x01"
HEADER = struct.Struct(">4sI")


class Lost(Exception):
    """The connection ended before the answer: what was sent may or may not have been counted."""


def compile_messages(directory):
    """The module of meterd.v1, generated below `directory`."""
    out = pathlib.Path(directory) / "python"
    out.mkdir(exist_ok=True)
    subprocess.run(
        ["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={out}", "meterd/v1/ingest.proto"], check=True
    )
    sys.path.insert(0, str(out))
    return importlib.import_module("meterd.v1.ingest_pb2")


def frame(payload, magic=MAGIC):
    return HEADER.pack(magic, len(payload)) + payload


class FramedConnection:
    """One connection, to a path, or to a (host, port) that leads there; every failure of it is Lost."""

    def __init__(self, to, messages, seconds=10):
        self._messages = messages
        over_tcp = isinstance(to, tuple)
        self._socket = socket.socket(socket.AF_INET if over_tcp else socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(to if over_tcp else str(to))  # blocking: a full backlog is waited for, a dead listener is an error
        except OSError as error:
            self._socket.close()
            raise Lost(str(error)) from None
        self._socket.settimeout(seconds)

    def send(self, batch):
        self.send_bytes(frame(batch.SerializeToString()))

    def send_bytes(self, data):
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Lost(str(error)) from None

    def receive(self):
        magic, size = HEADER.unpack(self._exactly(HEADER.size))
        if magic != MAGIC:
            raise AssertionError(f"an answer begins with {magic!r}")
        ack = self._messages.Ack()
        ack.ParseFromString(self._exactly(size))
        return ack

    def readable(self, seconds):
        return bool(select.select([self._socket], [], [], max(0.0, seconds))[0])

    def ask(self, batch):
        self.send(batch)
        return self.receive()

    def closed_by_peer(self):
        """True once the daemon has closed its end; what it still sends is dropped."""
        try:
            while self._socket.recv(4096):
                pass
            return True
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self):
        self._socket.close()

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                piece = self._socket.recv(size - len(data))
            except OSError as error:
                raise Lost(str(error)) from None
            if not piece:
                raise Lost("closed by meterd")
            data += piece
        return data
