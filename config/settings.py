"""Load the settings of a process into one frozen object.

Read from the environment (prefix `MILLRACE_`) and from `.env`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, ValidationError, computed_field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.errors import UserError
from config.root import ROOT as ROOT
from config.sections.alerts import Alerts
from config.sections.jvms import Jvms
from config.sections.lake import Lake
from config.sections.places import Places
from config.sections.retraining import Retraining
from config.sections.serving import Serving

PREFIX = "MILLRACE_"

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LEVELS: tuple[str, ...] = get_args(LogLevel)


class Settings(Retraining, Serving, Alerts, Lake, Jvms, Places, BaseSettings):
    """The values that a deployment may change.

    Ports are local; `port_offset` moves all of them at once (a second stack).
    """

    # An empty variable is one that is not set: as a folder it would be the project's own.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ROOT / ".env",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
    )

    log_level: LogLevel = Field(
        default="INFO",
        description="the least severe that is logged: DEBUG, INFO, WARNING, ERROR or CRITICAL",
    )
    log_json: bool = Field(default=True, description="log JSON lines; false: text for a person")

    @field_validator(
        "state_dir", "build_dir", "sensors_file", "rules_file", "alerts_file", "retrain_data"
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else ROOT / value

    @field_validator("state_dir")
    @classmethod
    def _apart(cls, value: Path) -> Path:
        if ROOT.is_relative_to(value):
            raise ValueError(
                "it holds the project itself, which `millrace reset` would remove with it"
            )
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    def port(self, name: str) -> int:
        """Return the local port of a part with the offset applied, as in `port("redis")`."""
        return int(getattr(self, f"{name}_base_port")) + self.port_offset

    def host_of(self, process: str) -> str:
        """Return where others reach a process of the stack, as in `host_of("consumer-fraud")`."""
        return process if self.processes_by_name else self.host

    @computed_field  # type: ignore[prop-decorator]
    @property
    def kafka_bootstrap(self) -> str:
        """Return the addresses of the brokers, comma-separated."""
        return self.kafka_bootstrap_override or f"{self.host}:{self.port('kafka')}"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def registry_url(self) -> str:
        """Return the URL of the schema registry's Confluent-compatible API."""
        return (
            self.registry_url_override
            or f"http://{self.host}:{self.port('registry')}/apis/ccompat/v7"
        )

    @property
    def redis_url(self) -> str:
        """Return the URL of Redis. It may hold a password, so no dump includes it."""
        if self.redis_url_override is not None:
            return self.redis_url_override.get_secret_value()
        return f"redis://{self.host}:{self.port('redis')}/0"

    @property
    def anomalies_url(self) -> str:
        """Return the URL of the database of detections. It may hold a password, as above."""
        given = self.anomalies_database_url.get_secret_value()
        return given or f"sqlite:///{self.state_dir / 'anomalies' / 'history.db'}"

    @property
    def lake_uri(self) -> str:
        """Return the URI of the lake's catalog. It may hold a password, so no dump includes it."""
        given = self.lake_catalog_uri.get_secret_value()
        return given or f"sqlite:///{self.state_dir / 'lake' / 'catalog.db'}"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def lake_files(self) -> str:
        """Return the URI of the folder of the lake's files."""
        return self.lake_warehouse or f"file://{self.state_dir / 'lake' / 'warehouse'}"

    @property
    def lake_spill(self) -> Path:
        """Return the folder into which a query spills beyond `lake_memory`."""
        return self.state_dir / "lake" / "spill"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def flink_rest(self) -> str:
        """Return the URL of the JobManager's REST interface."""
        return self.flink_rest_override or f"http://{self.host}:{self.port('flink_rest')}"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def recommender_url(self) -> str:
        """Return where the recommender answers questions about its index, as tcp://HOST:PORT."""
        return self.recommender_url_override or f"tcp://{self.host}:{self.port('recommender')}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Load the process's settings once and return them.

    Raise `UserError` naming each variable that cannot be used, and why.
    """
    try:
        return Settings()
    except ValidationError as error:
        # The reasons alone: what was given may be a secret.
        wrong = (
            f"{PREFIX}{'.'.join(map(str, one['loc'])).upper()}: {one['msg']}"
            for one in error.errors()
        )
        raise UserError("; ".join(wrong)) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{ROOT / '.env'} is not UTF-8 text: {error.reason}") from None
