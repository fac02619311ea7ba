"""A TCP proxy in front of ClickHouse that can lose or hold back answers after the server did what was asked."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

_INSERT = re.compile(rb"^POST [^\r\n]*INSERT", re.IGNORECASE)
CONNECT_S = 5.0


@dataclass
class Weather:
    """How answers to inserts fare; every other request passes. Shares from 0 to 1."""

    cut_share: float = 0.0
    delay_share: float = 0.0
    delay_s: float = 0.0


class Proxy:
    """Listens on loopback and hands on to the server behind `url`.

    An answer is cut only once the server has begun to give it: the insert has been applied, and the client cannot know.
    """

    def __init__(self, url: str, seed: int) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._server = (parts.hostname, parts.port)
        self._dice = random.Random(seed)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))
        self.weather = Weather()
        self.cut_next = 0
        """So many of the next answers to inserts are cut, for certain."""
        self.cuts = self.delays = 0
        self._open: set[socket.socket] = set()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed = True
        _shut(self._listener)
        with self._lock:
            for end in list(self._open):
                _shut(end)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server, CONNECT_S)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            inserting = threading.Event()
            for act in (self._ask, self._answer):
                threading.Thread(target=act, args=(client, server, inserting), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, inserting: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                if data.startswith((b"POST ", b"GET ")):
                    (inserting.set if _INSERT.match(data) else inserting.clear)()
                server.sendall(data)
        self._over(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, inserting: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if inserting.is_set() and data.startswith(b"HTTP/1.1 200"):
                    fate = self._fate()
                    if fate == "cut":
                        break
                    if fate == "delay":
                        time.sleep(self.weather.delay_s)
                client.sendall(data)
        self._over(client, server)

    def _fate(self) -> str:
        with self._lock:
            if self.cut_next:
                self.cut_next -= 1
                self.cuts += 1
                return "cut"
            chance = self._dice.random()
            if chance < self.weather.cut_share:
                self.cuts += 1
                return "cut"
            if chance < self.weather.cut_share + self.weather.delay_share:
                self.delays += 1
                return "delay"
        return "pass"

    def _over(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open.difference_update(ends)
        for end in ends:
            _shut(end)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
