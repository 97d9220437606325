"""Logs: one event a line, and no text of a stranger's can make it two or another."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeline.log import configure_logging
from lifeline.settings import Settings


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process named `test` logs, as JSON."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    level = root.level
    configure_logging("test", Settings(log_format="json"))
    yield stream
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def events(stream: io.StringIO) -> list[dict[str, object]]:
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    stream.seek(0)
    stream.truncate()
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80).filter(lambda text: "\x85" not in text))
def test_whatever_is_logged_is_one_line_that_reads_back_as_it_was(text: str, written: io.StringIO) -> None:
    structlog.get_logger().warning("refused", name=text)
    (line,) = written.getvalue().split("\n")[:-1]
    assert json.loads(line)["name"] == text
    written.seek(0)
    written.truncate()


def test_a_forged_event_stays_a_value(written: io.StringIO) -> None:
    structlog.get_logger().warning("refused", name='x", "level": "info"}\n{"event": "all is well"}')
    (event,) = events(written)
    assert (event["event"], event["level"]) == ("refused", "warning")


def test_every_line_says_which_process_when_and_how_bad(written: io.StringIO) -> None:
    structlog.get_logger().error("broken", part="pump")
    (event,) = events(written)
    assert event.keys() == {"event", "process", "level", "timestamp", "part"}
    assert event["process"] == "test"
    assert str(event["timestamp"]).endswith("Z")


def test_another_thread_and_another_library_log_under_the_same_name(written: io.StringIO) -> None:
    thread = threading.Thread(target=lambda: structlog.get_logger().info("from a thread"))
    thread.start()
    thread.join()
    logging.getLogger("some.library").warning("from %s", "elsewhere")
    assert [(event["event"], event["process"]) for event in events(written)] == [
        ("from a thread", "test"),
        ("from elsewhere", "test"),
    ]


def test_what_is_below_the_level_is_not_written(monkeypatch: pytest.MonkeyPatch, written: io.StringIO) -> None:
    monkeypatch.setattr("sys.stderr", written)
    configure_logging("test", Settings(log_format="json", log_level="WARNING"))
    structlog.get_logger().info("quiet")
    logging.getLogger("some.library").info("quiet too")
    structlog.get_logger().warning("loud")
    assert [event["event"] for event in events(written)] == ["loud"]


def test_libraries_that_would_log_every_address_are_kept_quiet(written: io.StringIO) -> None:
    """An address may hold what is nobody's business: httpx would log each webhook's."""
    logging.getLogger("httpx").info("HTTP Request: POST https://hooks.example/secret-path")
    logging.getLogger("apscheduler").info("Running job")
    assert events(written) == []


def test_an_exception_is_one_line_too(written: io.StringIO) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        structlog.get_logger().exception("failed")
    (event,) = events(written)
    assert "ValueError: first\nsecond" in str(event["exception"])


def test_a_terminal_gets_text_and_no_json(monkeypatch: pytest.MonkeyPatch, written: io.StringIO) -> None:
    monkeypatch.setattr("sys.stderr", written)
    configure_logging("test", Settings(log_format="console"))
    structlog.get_logger().warning("refused", name="x")
    assert "refused" in written.getvalue()
    assert not written.getvalue().startswith("{")
