"""ComfyUI's live events over a WebSocket (RFC 6455), as much of it as reading them takes."""

import base64
import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlparse

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10


class Events:
    """An open connection; iterate over it for events until the server closes it.

    Text messages come as dicts {"type": ..., "data": ...}, pictures and other binary ones as bytes.
    """

    def __init__(self, url: str, path: str, timeout: float = 60):
        address = urlparse(url)
        host, port = address.hostname or "127.0.0.1", address.port or 80
        self._socket = socket.create_connection((host, port), timeout=timeout)
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        status = self._stream.readline().decode()
        if " 101 " not in status:
            raise ConnectionError(f"{url}{path} does not speak WebSocket: {status.strip()}")
        while self._stream.readline().strip():
            pass

    def set_timeout(self, seconds: float | None) -> None:
        """The longest silence before reading raises TimeoutError; None waits for ever."""
        self._socket.settimeout(seconds)

    def send(self, message: dict[str, Any]) -> None:
        """Sends one message as JSON text, for example to announce what the client supports."""
        self._send(_TEXT, json.dumps(message).encode())

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[dict[str, Any] | bytes]:
        parts, kind = [], _TEXT
        while True:
            final, opcode, payload = self._frame()
            if opcode == _CLOSE:
                return
            if opcode == _PING:
                self._send(_PONG, payload)
            if opcode not in (_TEXT, _BINARY, _CONTINUATION):
                continue
            if opcode != _CONTINUATION:
                parts, kind = [], opcode
            parts.append(payload)
            if final:
                message = b"".join(parts)
                yield json.loads(message) if kind == _TEXT else message

    def _frame(self) -> tuple[bool, int, bytes]:
        head = self._stream.read(2)
        if len(head) < 2:
            return True, _CLOSE, b""
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._stream.read(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._stream.read(8))
        return bool(head[0] & 0x80), head[0] & 0x0F, self._stream.read(length)

    def _send(self, opcode: int, payload: bytes) -> None:
        """A client masks what it sends (RFC 6455, 5.3)."""
        mask = os.urandom(4)
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._socket.sendall(bytes([0x80 | opcode]) + size + mask + masked)
