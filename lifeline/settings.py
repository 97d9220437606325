"""Settings of every process, from the environment with the prefix ``LIFELINE_``.

Any setting may be given as ``LIFELINE_<NAME>_FILE`` instead: the file's content (stripped) is the value, so that
secrets need never stand in the environment.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, Literal, get_origin
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from lifeline import wire
from lifeline.errors import ConfigurationError
from lifeline.model import Role

PREFIX = "LIFELINE_"
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this very machine, to which nothing need be encrypted."""


def _json_list(field_name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f'{PREFIX}{field_name.upper()}: must be a JSON list, ["like", "this"]') from error


class SecretFiles(PydanticBaseSettingsSource):
    """Reads ``LIFELINE_<NAME>_FILE``."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise ConfigurationError(f"{PREFIX}{field_name.upper()}_FILE={path}: {reason}") from error
        is_list = get_origin(self.settings_cls.model_fields[field_name].annotation) is list
        return (_json_list(field_name, text) if is_list else text), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(None, name)[0] for name in self.settings_cls.model_fields}
        return {name: value for name, value in values.items() if value is not None}


class Settings(BaseSettings):
    """Every setting, with its default. ``docs/reference/settings.md`` lists them and a test keeps it in step."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, allow_inf_nan=False)

    # --- where things are
    database_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL DSN with TimescaleDB. Empty: `lifeline up` brings its own."
    )
    mqtt_host: str = Field("", description="Host of the MQTT 5 broker. Empty: `lifeline up` brings its own.")
    mqtt_port: int = Field(1883, ge=1, le=65535, description="Port of the broker.")
    mqtt_username: str = Field("", description="User name at the broker.")
    mqtt_password: SecretStr = Field(SecretStr(""), description="Password at the broker.")
    topic_root: str = Field(
        wire.ROOT, description="What topics begin with. A drill has a root of its own, `lifeline-exercise/{drill}/v1`."
    )
    mqtt_ca_file: Path | None = Field(None, description="CA certificate; when set, TLS is used.")
    home: Path | None = Field(
        None,
        description="Data folder of `lifeline up`. Default /var/lib/lifeline as root, else ~/.local/share/lifeline.",
    )
    catalogue: Path | None = Field(None, description="TOML file that replaces the shipped catalogue.")
    timezone: str = Field(
        "Asia/Shanghai",
        description="The city's local time (IANA name): quiet hours, nights, times in messages. Stored times are UTC.",
    )

    # --- logs and metrics
    log_level: str = Field("info", description="debug, info, warning or error.")
    log_format: str = Field("auto", description="json, console, or auto: console on a terminal.")
    metrics_host: str = Field("127.0.0.1", description="Address on which ingest, alerts and planning serve /metrics.")
    ingest_metrics_port: int = Field(9101, ge=0, le=65535, description="Port of ingest's /metrics; 0 = off.")
    alerts_metrics_port: int = Field(9102, ge=0, le=65535, description="Port of alerts' /metrics; 0 = off.")

    # --- ingest
    ingest_client_id: str = Field(
        "lifeline-ingest",
        description="Name of a consumer; one per consumer, stable. With the password it makes the MQTT client id.",
    )
    ingest_topics: list[str] = Field(
        default=[wire.READINGS_FILTER],
        description="Topic filters of readings (JSON list), shared among consumers.",
    )
    ingest_shared: bool = Field(
        True,
        description="false: one consumer, on a subscription of its own, which a broker with snapshots keeps over a "
        "restart; it forgets shared ones.",
    )
    ingest_fast_reader: bool = Field(True, description="false: stock paho reads the socket.")
    ingest_batch_messages: int = Field(20_000, ge=1, le=65_535, description="Messages in a batch at most.")
    ingest_batch_age_ms: int = Field(200, ge=1, le=60_000, description="Age at which a batch goes to another writer.")
    ingest_idle_ms: int = Field(
        5,
        ge=0,
        le=10_000,
        description="A batch gathers so long at least while no writer is at work; longer when the database is busy.",
    )
    ingest_max_pending: int = Field(
        60_000,
        ge=1,
        le=65_535,
        description="Unacknowledged messages held at most; then the socket is not read.",
    )
    ingest_max_payload_bytes: int = Field(
        1_048_576, ge=1024, description="Larger payloads go to quarantine, cut to this."
    )
    ingest_writers: int = Field(2, ge=1, le=8, description="Writer threads, each with a connection.")
    ingest_future_s: float = Field(300, ge=0, description="How far ahead of the clock a reading may be.")
    ingest_max_age_days: float = Field(400, gt=0, description="How old a reading may be.")

    # --- alerts
    alerts_tick_s: float = Field(5, gt=0, description="Seconds between ticks.")
    alerts_window_s: float = Field(3600, gt=0, description="Seconds of readings kept in memory for detectors.")
    alerts_clear_s: float | None = Field(
        None,
        ge=0,
        description="Longest time for which a value is to be good again before its alert returns, where a rule says "
        "longer. For a demo, which plays hours in minutes; default as the rules say.",
    )
    alerts_rules: Path | None = Field(None, description="TOML file that replaces the shipped rules.")
    alerts_causes: Path | None = Field(None, description="TOML file that replaces the shipped causes of incidents.")
    webhook_timeout_s: float = Field(20, gt=0, le=30, description="Time-out of a delivery attempt, answer and all.")
    webhook_allow: list[str] = Field(
        default=[],
        description="Hosts (JSON list) that webhooks may reach although they are private or loopback.",
    )
    sender: str = Field(
        "lifeline", min_length=1, description="Who sends: in CAP the sender, in CloudEvents the source."
    )
    message_status: Literal["Actual", "Exercise", "Test"] = Field(
        "Actual", description="CAP's status of all messages: Exercise for a drill, Test for a simulated city."
    )
    link_secret: SecretStr = Field(
        SecretStr(""),
        description="Signs field links, by which a phone acts on one alert without a login; the same for alerts and "
        "api. Several, separated by spaces: the first signs, all are accepted. Empty: no links.",
    )
    link_hours: float = Field(24, gt=0, le=720, description="How long a field link works.")
    response: Path | None = Field(None, description="TOML file that replaces the shipped deadlines of the response.")
    rollup_s: float = Field(30, gt=0, description="Seconds between roll-up runs.")
    retention_days: int = Field(730, ge=1, le=36_500, description="Raw readings are kept so long.")
    quarantine_days: int = Field(90, ge=1, le=36_500, description="Quarantine is kept so long.")

    # --- planning
    planning_metrics_port: int = Field(9103, ge=0, le=65535, description="Port of planning's /metrics; 0 = off.")
    costs: Path | None = Field(None, description="TOML file with what renewals cost; what it leaves out is as shipped.")
    planning_jobs: int = Field(1, ge=1, le=64, description="Jobs that a planning process works at the same time.")

    cluster: str = Field("", description="Dask scheduler (tcp://host:8786) for long computations; empty: this machine.")

    # --- api
    api_host: str = Field("127.0.0.1", description="Address on which the API and the page are served.")
    api_port: int = Field(8080, ge=0, le=65535, description="Port of the API and the page.")
    api_sse_clients: int = Field(500, ge=1, description="Live streams at most.")
    session_idle_min: float = Field(
        720,
        gt=0,
        le=43_200,
        description="A session of the page ends when nobody used it for so many minutes. Keys, clicks and changes are "
        "use; what an open page fetches by itself is not: a display that nobody is at comes in by a key.",
    )
    session_h: float = Field(
        168, gt=0, le=8760, description="A session of the page ends after so many hours in any case."
    )
    oidc_issuer: str = Field(
        "",
        description="Issuer (OpenID Connect) whose bearer tokens open the API, `https://login.city.example/realms/x`, "
        "just as it calls itself. Empty: none.",
    )
    oidc_audience: str = Field("", description="What `aud` must hold: for whom the issuer's tokens are.")
    oidc_name_claim: str = Field(
        "preferred_username", description="Claim with the name for the audit; `sub` where it is not there."
    )
    oidc_role_claim: str = Field(
        "roles", description="Claim with the roles; dots lead inward, as in realm_access.roles. The highest counts."
    )
    oidc_roles: list[str] = Field(
        default=[],
        description='Which role each of the issuer\'s is (JSON list), `["duty-officers=operator"]`. Empty: they are '
        "called as ours are.",
    )
    oidc_networks_claim: str = Field(
        "", description="Claim with the networks that somebody sees, `*` for all; a token must have it. Empty: all."
    )
    oidc_zones_claim: str = Field(
        "", description="Claim with the zones that somebody sees, `*` for all; a token must have it. Empty: all."
    )
    oidc_client_id: str = Field(
        "",
        description="As what the page is known to the issuer: people then log in there too. Takes LIFELINE_PUBLIC_URL. "
        "Empty: by password and link alone.",
    )
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="The page's own secret at the issuer.")
    oidc_scopes: str = Field("openid profile", description="What is asked of the issuer when somebody logs in there.")
    oidc_label: str = Field("", max_length=64, description="What the button calls the issuer; empty: its host.")
    oidc_session_h: float = Field(
        12, gt=0, le=8760, description="A session of who logged in at the issuer ends after so many hours in any case."
    )
    public_url: str = Field("", description="How people reach the page, for links in messages.")
    base_map: str = Field(
        "",
        description="Raster tiles below the map, `https://host/{z}/{x}/{y}.png`; the page may then ask that host. "
        "Empty: none, and no request leaves this server.",
    )
    base_map_attribution: str = Field("", description="Whose the base map is, as its licence wants it shown.")
    risk_cuts: list[float] = Field(
        default=[75.0, 50.0, 25.0], description="Lowest score of red, orange and yellow on the map (JSON list)."
    )
    risk_decay_s: float = Field(
        3600, gt=0, description="tau: so long after an alert returned to normal it counts for a third of what it did."
    )
    coupling: Path | None = Field(
        None, description="TOML file that replaces the shipped couplings between networks (chains of the risk map)."
    )
    map_days: int = Field(90, ge=1, le=36_500, description="The map of any moment of so many days can be asked for.")
    map_keyframe_h: float = Field(
        24, gt=0, le=720, description="Hours between whole pictures of the map; between them only changes are stored."
    )
    report_radius_m: float = Field(
        150, gt=0, le=5000, description="A citizen's report within so many metres of an alert is evidence beside it."
    )
    page_title: str = Field("Lifeline 城市生命线", description="Title on the page.")

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.lower() not in ("debug", "info", "warning", "error"):
            raise ValueError("must be debug, info, warning or error")
        return value.lower()

    @field_validator("log_format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in ("json", "console", "auto"):
            raise ValueError("must be json, console or auto")
        return value

    @field_validator("risk_cuts")
    @classmethod
    def _falling_cuts(cls, value: list[float]) -> list[float]:
        if len(value) != 3 or not 100 >= value[0] > value[1] > value[2] > 0:
            raise ValueError("must be three falling scores of 100 at most: of red, orange and yellow")
        return value

    @field_validator("topic_root")
    @classmethod
    def _plain_root(cls, value: str) -> str:
        if not wire.is_root(value):
            raise ValueError("must be levels of letters, digits, dots and dashes, like lifeline/v1")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("must be an IANA time zone, like Asia/Shanghai") from error

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must be http:// or https:// and a host")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer_address(cls, value: str) -> str:
        parts = urlsplit(value)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in HERE)
        if value and not (parts.hostname and safe):
            raise ValueError("must be https:// and a host, or http:// on this machine")
        return value

    @field_validator("oidc_roles")
    @classmethod
    def _known_roles(cls, value: list[str]) -> list[str]:
        for each in value:
            theirs, _, ours = each.rpartition("=")
            if not theirs or ours not in list(Role):
                raise ValueError(f"{each!r} must be like their-name=role, with one of {', '.join(Role)}")
        return value

    @field_validator("base_map")
    @classmethod
    def _tile_address(cls, value: str) -> str:
        # It becomes part of a header: nothing that could end the directive may stand in the host.
        if value and not re.fullmatch(r"https?://[A-Za-z0-9.:-]+/[^\s;,]*", value):
            raise ValueError("must be like https://host/{z}/{x}/{y}.png")
        if value and not all(part in value for part in ("{z}", "{x}", "{y}")):
            raise ValueError("must hold {z}, {x} and {y}")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)

    @property
    def local_time(self) -> ZoneInfo:
        """The city's local time."""
        return ZoneInfo(self.timezone)

    def require_database(self) -> str:
        """The DSN, or ConfigurationError that says how to give one."""
        dsn = self.database_url.get_secret_value()
        if not dsn:
            raise ConfigurationError(
                "no database: set LIFELINE_DATABASE_URL or LIFELINE_DATABASE_URL_FILE, or use `lifeline up`"
            )
        return dsn

    def require_broker(self) -> tuple[str, int]:
        """Host and port of the broker, or ConfigurationError that says how to give one."""
        if not self.mqtt_host:
            raise ConfigurationError("no broker: set LIFELINE_MQTT_HOST, or use `lifeline up`")
        return self.mqtt_host, self.mqtt_port


def load_settings(**overrides: Any) -> Settings:
    """Read the environment. Raises ConfigurationError with one line for each wrong setting."""
    try:
        return Settings(**overrides)
    except SettingsError as error:
        name = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "")
        raise ConfigurationError(f'{PREFIX}{name.upper()}: must be a JSON list, ["like", "this"]') from None
    except ValidationError as error:
        lines = [f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError("; ".join(lines)) from error
