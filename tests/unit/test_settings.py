"""Settings come from the environment, secrets may come from files, and mistakes are named."""

import pytest

from lifeline.errors import ConfigurationError
from lifeline.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LIFELINE_{name.upper()}", raising=False)
        monkeypatch.delenv(f"LIFELINE_{name.upper()}_FILE", raising=False)


def test_the_defaults_are_good_without_any_environment():
    settings = load_settings()
    assert settings.api_port == 8080
    assert settings.ingest_fast_reader is True


def test_a_setting_is_read_from_its_variable(monkeypatch):
    monkeypatch.setenv("LIFELINE_API_PORT", "9000")
    assert load_settings().api_port == 9000


def test_a_secret_is_read_from_the_file_that_its_variable_names(monkeypatch, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("swordfish\n", encoding="utf-8")
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD_FILE", str(secret))
    assert load_settings().mqtt_password.get_secret_value() == "swordfish"


def test_the_variable_itself_wins_over_the_file(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("from file", encoding="utf-8")
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD", "from variable")
    assert load_settings().mqtt_password.get_secret_value() == "from variable"


def test_a_secret_file_that_is_not_there_is_a_clear_error(monkeypatch, tmp_path):
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=r"LIFELINE_MQTT_PASSWORD_FILE.*No such file"):
        load_settings()


def test_every_wrong_setting_is_named_in_one_message(monkeypatch):
    monkeypatch.setenv("LIFELINE_API_PORT", "seventy")
    monkeypatch.setenv("LIFELINE_LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError, match=r"LIFELINE_LOG_LEVEL.*LIFELINE_API_PORT"):
        load_settings()


def test_a_secret_does_not_show_in_a_print(monkeypatch):
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD", "swordfish")
    assert "swordfish" not in repr(load_settings())


def test_asking_for_a_database_that_is_not_configured_says_how_to_give_one():
    with pytest.raises(ConfigurationError, match="LIFELINE_DATABASE_URL"):
        load_settings().require_database()


def test_asking_for_a_broker_that_is_not_configured_says_how_to_give_one():
    with pytest.raises(ConfigurationError, match="LIFELINE_MQTT_HOST"):
        load_settings().require_broker()


def test_the_local_time_of_the_city_is_a_time_zone_that_there_is(monkeypatch):
    assert load_settings().local_time.key == "Asia/Shanghai"
    monkeypatch.setenv("LIFELINE_TIMEZONE", "Europe/Berlin")
    assert load_settings().local_time.key == "Europe/Berlin"
    for wrong in ("Mars/Olympus", "../../etc/passwd", "", "UTC+8 "):
        monkeypatch.setenv("LIFELINE_TIMEZONE", wrong)
        with pytest.raises(ConfigurationError, match="LIFELINE_TIMEZONE"):
            load_settings()


@pytest.mark.parametrize("root", ["", "/a", "a/", "a//b", "a/+/b", "a/#", "$share/a", "a b"])
def test_a_root_of_topics_holds_no_wildcard_and_no_empty_level(root: str) -> None:
    with pytest.raises(ConfigurationError, match="LIFELINE_TOPIC_ROOT"):
        load_settings(topic_root=root)
    assert load_settings(topic_root="lifeline-exercise/12/v1").topic_root == "lifeline-exercise/12/v1"
