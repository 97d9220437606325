"""Settings as people really write them: every mistake is one clear line, and no line shows a secret."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeline.errors import ConfigurationError
from lifeline.settings import PREFIX, Settings, load_settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        for end in ("", "_FILE"):
            monkeypatch.delenv(f"{PREFIX}{name.upper()}{end}", raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBHOOK_ALLOW", "[bad"),
        ("WEBHOOK_ALLOW", "hooks.example"),
        ("WEBHOOK_ALLOW", "{}"),
        ("INGEST_TOPICS", "lifeline/v1/+/+/readings"),
        ("API_PORT", ""),
        ("API_PORT", "99999"),
        ("API_PORT", "-1"),
        ("MQTT_PORT", "0x75b"),
        ("MQTT_PORT", "0"),
        ("ALERTS_TICK_S", "nan"),
        ("ALERTS_TICK_S", "inf"),
        ("ROLLUP_S", "1e400"),
        ("INGEST_MAX_AGE_DAYS", "inf"),
        ("INGEST_FUTURE_S", "-1"),
        ("RETENTION_DAYS", "99999999999"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("PUBLIC_URL", "javascript:alert(1)"),
        ("INGEST_FAST_READER", "perhaps"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_and_the_program_says_no_more(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", value)
    with pytest.raises(ConfigurationError, match=f"{PREFIX}{name}: ") as told:
        load_settings()
    assert "\n" not in str(told.value)


def test_a_value_in_the_wrong_variable_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be the password that was meant for the line below."""
    for name in ("API_PORT", "WEBHOOK_ALLOW", "ALERTS_TICK_S", "LOG_LEVEL"):
        monkeypatch.setenv(f"{PREFIX}{name}", "hunter2")
        with pytest.raises(ConfigurationError) as told:
            load_settings()
        assert "hunter2" not in str(told.value)
        monkeypatch.delenv(f"{PREFIX}{name}")


@pytest.mark.parametrize(("content", "reason"), [(b"\xff\xfe", "is not UTF-8"), (None, "directory")])
def test_a_file_that_holds_no_text_is_named(
    content: bytes | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.mkdir() if content is None else path.write_bytes(content)
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD_FILE", str(path))
    with pytest.raises(ConfigurationError, match=f"LIFELINE_MQTT_PASSWORD_FILE=.*{reason}"):
        load_settings()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hosts=st.lists(st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True), max_size=5))
def test_a_list_is_read_from_a_file_as_from_its_variable(
    hosts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hosts"
    path.write_text(json.dumps(hosts) + "\n")
    with monkeypatch.context() as environment:
        environment.setenv("LIFELINE_WEBHOOK_ALLOW_FILE", str(path))
        assert load_settings().webhook_allow == hosts
    with monkeypatch.context() as environment:
        environment.setenv("LIFELINE_WEBHOOK_ALLOW", json.dumps(hosts))
        assert load_settings().webhook_allow == hosts


def test_a_list_in_a_file_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hosts").write_text("hooks.example")
    monkeypatch.setenv("LIFELINE_WEBHOOK_ALLOW_FILE", str(tmp_path / "hosts"))
    with pytest.raises(ConfigurationError, match="LIFELINE_WEBHOOK_ALLOW: must be a JSON list"):
        load_settings()


def test_a_line_end_of_an_editor_does_not_become_part_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("  s3cret \r\n\n")
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD_FILE", str(tmp_path / "secret"))
    assert load_settings().mqtt_password.get_secret_value() == "s3cret"


def test_no_way_to_print_settings_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_DATABASE_URL", "postgresql://u:hunter2@h/d")
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD", "hunter2")
    found = load_settings()
    for shown in (str(found), repr(found), f"{found!r:.500}", str(found.model_dump()), found.model_dump_json()):
        assert "hunter2" not in shown


def test_settings_are_not_changed_once_they_are_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().api_port = 1  # type: ignore[misc]


def test_a_variable_of_another_program_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_PORT", "lifeline_other", "LIFELINE_NOT_A_SETTING", "XLIFELINE_API_PORT"):
        monkeypatch.setenv(name, "9")
    assert load_settings() == Settings()
    assert load_settings().api_port == 8080
