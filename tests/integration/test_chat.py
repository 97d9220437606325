"""Chat channels and mail against servers that speak their protocols, on this machine."""

import json
import shutil
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from alerts.chat import ChatError, send
from alerts.egress import RefusedAddressError
from lifeline.storage import endpoints, outbox
from tests.integration.test_alerts_delivery import Office, office  # noqa: F401 - a fixture


class MailServer(socketserver.ThreadingTCPServer):
    """Takes mail as RFC 5321 says, and keeps it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[str] = []
        super().__init__(("127.0.0.1", 0), MailHandler)

    @property
    def address(self) -> str:
        return (
            f"mailto://127.0.0.1:{self.server_address[1]}?from=lifeline@example.org&to=crew@example.org&mode=insecure"
        )


class MailHandler(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 ready")
        while line := self.rfile.readline().decode().strip():
            word = line.split(" ")[0].upper()
            if word == "DATA":
                self.say("354 go on")
                text = []
                while (part := self.rfile.readline().decode()) != ".\r\n":
                    text.append(part)
                self.server.mails.append("".join(text))
            self.say("221 bye" if word == "QUIT" else "250 ok")
            if word == "QUIT":
                return

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Channel:
    """A chat service over TLS; answers with ``status`` and ``text``."""

    def __init__(self, folder: Path) -> None:
        self.status, self.text = 202, ""
        self.posts: list[Any] = []
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                channel.posts.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(channel.status)
                self.send_header("content-length", str(len(channel.text)))
                self.end_headers()
                self.wfile.write(channel.text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        subject = ["-subj", "/CN=127.0.0.1", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
        files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
        subprocess.run(["openssl", "req", "-x509", *subject, *files], check=True, capture_output=True)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"workflows://127.0.0.1:{self.server.server_port}/{'a' * 40}/{'b' * 40}/?verify=no"


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def teams(tmp_path: Path) -> Iterator[Channel]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the certificate of the test's server")
    channel = Channel(tmp_path)
    threading.Thread(target=channel.server.serve_forever, args=[0.05], daemon=True).start()
    yield channel
    channel.server.shutdown()
    channel.server.server_close()


def test_a_mail_arrives_with_title_and_words(mail: MailServer) -> None:
    send(mail.address, "甲烷 methane", "严禁火源\nNo flame", red=True, allowed=["127.0.0.1"])
    (text,) = mail.mails
    assert "To: crew@example.org" in text
    assert "utf-8" in text


def test_a_mail_to_a_private_address_is_refused_before_a_word_is_said(mail: MailServer) -> None:
    with pytest.raises(RefusedAddressError, match="not public"):
        send(mail.address, "title", "text", red=False, allowed=[])
    with pytest.raises(RefusedAddressError):
        send(mail.address.replace("127.0.0.1", "localhost"), "title", "text", red=False, allowed=["127.0.0.1"])
    assert mail.mails == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_chat_message_arrives_and_a_refusal_in_its_answer_is_an_error(teams: Channel) -> None:
    send(teams.address, "甲烷", "严禁火源", red=True, allowed=["127.0.0.1"])
    assert "严禁火源" in json.dumps(teams.posts[0], ensure_ascii=False)
    teams.status, teams.text = 200, '{"errcode": 310000, "errmsg": "sign not match"}'
    with pytest.raises(ChatError, match="sign not match"):
        send(teams.address, "title", "text", red=False, allowed=["127.0.0.1"])
    teams.status, teams.text = 403, ""
    with pytest.raises(ChatError, match="HTTP 403"):
        send(teams.address, "title", "text", red=False, allowed=["127.0.0.1"])
    with pytest.raises(RefusedAddressError):
        send(teams.address, "title", "text", red=False, allowed=[])
    assert len(teams.posts) == 3


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.usefixtures("clean_database")
def test_a_delivery_to_a_chat_is_retried_logged_and_done_like_any_other(
    office: Office,
    teams: Channel,
) -> None:
    endpoints.add(office.connection, "team", "workflows://***", datetime.now(UTC), format="chat", channel=teams.address)
    office.connection.commit()
    teams.status = 500
    alert = office.raise_alert()
    assert office.work() == 1
    assert office.states() == ["pending"]
    teams.status = 202
    assert office.work(7) == 1
    assert office.states() == ["delivered"]
    assert [attempt.error for attempt in outbox.attempts(office.connection, alert.alert_id)] == ["HTTP 500", ""]
    (found,) = endpoints.list_endpoints(office.connection)
    assert "aaaa" not in found.url
