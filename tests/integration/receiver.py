"""A webhook receiver that verifies with the library of Standard Webhooks, and can misbehave."""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """Answers with ``status`` and ``headers`` after ``delay_s``, or once ``released``; keeps what it took, verified, by
    webhook-id."""

    def __init__(self, port: int = 0) -> None:
        self.status, self.headers, self.delay_s = 204, dict[str, str](), 0.0
        self.released = threading.Event()
        self.accepted: list[dict[str, Any]] = []
        self.ids: Counter[str] = Counter()
        self.attempts: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver._take(dict(self.headers), body)
                receiver.released.wait(receiver.delay_s)
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - that is how http.server names it

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def _take(self, headers: dict[str, str], body: bytes) -> None:
        message = Webhook(SECRET).verify(body, headers)  # raises, and the connection breaks, where it is wrong
        message_id = {name.lower(): value for name, value in headers.items()}["webhook-id"]
        self.attempts.append(message_id)
        if 200 <= self.status < 300:
            self.ids[message_id] += 1
            self.accepted.append(message)

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
