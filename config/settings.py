"""Load the settings of a process into one frozen object.

Read from the environment (prefix `MILLRACE_`) and from `.env`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, SecretStr, ValidationError, computed_field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "MILLRACE_"

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LEVELS: tuple[str, ...] = get_args(LogLevel)


class Settings(BaseSettings):
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

    state_dir: Path = Field(
        default=ROOT / ".millrace",
        description="everything the local stack keeps: data, logs, models, pids",
    )
    build_dir: Path = Field(
        default=ROOT / ".build", description="jars and tools that set-up fetched or built"
    )
    host: str = Field(
        default="127.0.0.1", description="address every local process binds and is reached at"
    )
    port_offset: int = Field(default=0, ge=0, le=40000, description="added to every port below")

    groups: str = Field(
        default="",
        description="groups that run, comma-separated; empty: those that products.yaml has on",
    )
    products_path: str = Field(
        default="",
        description="folders of products outside this repository, separated by colons",
    )

    kafka_base_port: int = 19092
    kafka_controller_base_port: int = 19093
    registry_base_port: int = 19081
    redis_base_port: int = 19379
    flink_rest_base_port: int = 19082
    flink_rpc_base_port: int = 19083
    flink_blob_base_port: int = 19084
    flink_taskmanager_base_port: int = 19085
    flink_data_base_port: int = 19086
    flink_jobmanager_metrics_base_port: int = 19087
    flink_taskmanager_metrics_base_port: int = 19088
    jobs_base_port: int = Field(
        default=19089, description="health of the keeper that holds the Flink jobs running"
    )
    api_base_port: int = 19080
    recommender_base_port: int = Field(
        default=19104, description="where the recommender answers the API about its index"
    )

    airflow_base_port: int = Field(default=19110, description="Airflow's page and API")
    prometheus_base_port: int = Field(default=19120, description="Prometheus' page and API")
    alertmanager_base_port: int = Field(default=19121, description="Alertmanager's page and API")
    node_exporter_base_port: int = Field(
        default=19122, description="metrics of the machine, by the node exporter"
    )
    exporter_base_port: int = Field(
        default=19123, description="metrics of Kafka, Redis and the registry"
    )

    kafka_bootstrap_override: str | None = Field(
        default=None, description="brokers, where they are not the local stack's"
    )
    registry_url_override: str | None = Field(
        default=None, description="Confluent-compatible registry, where not the local one"
    )
    redis_url_override: SecretStr | None = Field(
        default=None, description="redis:// URL, may hold a password"
    )
    flink_rest_override: str | None = Field(
        default=None, description="JobManager REST URL, where not the local one"
    )

    recommender_url_override: str | None = Field(
        default=None, description="where the recommender answers, as tcp://HOST:PORT, if not here"
    )

    partitions: str = Field(
        default="",
        description="partitions of topics where not config/topics.yaml's: transactions=4,alerts=2",
    )
    event_ahead_ms: int = Field(
        default=86_400_000,
        ge=0,
        lt=100 * 86_400_000,
        description="an event dated further than this after Kafka's timestamp goes to quarantine",
    )

    sensors_file: Path = Field(
        default=ROOT / "config" / "sensors.yaml",
        description="limits and detectors of the sensors, by type",
    )

    rules_file: Path = Field(
        default=ROOT / "config" / "rules.yaml",
        description="rules that decide on payments beside the model",
    )

    alerts_file: Path = Field(
        default=ROOT / "config" / "alerts.yaml",
        description="which alerts are sent together, and which hide others",
    )

    flink_parallelism: int = Field(
        default=1, ge=1, description="of each job; more needs more partitions"
    )
    flink_task_slots: int | None = Field(
        default=None,
        ge=1,
        description="of the TaskManager; unset: as many as the jobs of the groups that run need",
    )
    flink_jobmanager_memory: str = Field(
        default="768m",
        description="the JobManager's whole process: a number and m or g, at least 512m",
    )
    flink_taskmanager_memory: str = Field(
        default="2048m",
        description="the TaskManager's whole process: a number and m or g, at least 896m",
    )
    jvm_second_compiler: bool = Field(
        default=True,
        description="TaskManager and broker: what runs long is compiled a second time, for speed; "
        "false suits a stack that lives for minutes",
    )
    flink_checkpoint_interval_ms: int = Field(
        default=60_000,
        ge=100,
        description="after a TaskManager's death up to this much is read again",
    )
    flink_buffer_timeout_ms: int = Field(
        default=0,
        ge=0,
        description="longest a record waits in a network buffer; 0: each is sent at once",
    )
    kafka_heap: str = Field(
        default="512m", description="the broker's heap, as Java's -Xmx takes it"
    )
    registry_heap: str = Field(
        default="256m", description="the registry's heap, as Java's -Xmx takes it"
    )

    lake_catalog: Literal["jdbc", "rest"] = Field(
        default="jdbc", description="kind of the lake's catalog: jdbc (SQLite, PostgreSQL) or rest"
    )
    lake_catalog_uri: SecretStr = Field(
        default=SecretStr(""),
        description="sqlite:///FILE, postgresql://USER:PASSWORD@HOST/NAME or a REST catalog's URL; "
        "empty: in state_dir",
    )
    lake_catalog_credential: SecretStr = Field(
        default=SecretStr(""), description="CLIENT:SECRET of a REST catalog that asks for one"
    )
    lake_warehouse: str = Field(
        default="", description="where the lake's files lie: file:// or s3://; empty: in state_dir"
    )
    lake_commit_seconds: int = Field(
        default=60, ge=1, description="from one commit of the lake's job to the next"
    )
    lake_memory: str = Field(
        default="1GB", description="of a query or a mart's build; beyond it spills to state_dir"
    )
    verify_seconds: int = Field(
        default=300, ge=1, description="from one sample of verified feature vectors to the next"
    )
    verify_sample: int = Field(
        default=5, ge=1, description="logged feature vectors that are computed again each time"
    )
    lake_s3_endpoint: str = Field(
        default="", description="of S3-compatible storage that is not AWS"
    )
    lake_s3_region: str = Field(default="", description="of the lake's bucket")
    lake_s3_access_key: SecretStr = Field(
        default=SecretStr(""), description="id of the key to the lake's bucket"
    )
    lake_s3_secret_key: SecretStr = Field(
        default=SecretStr(""), description="the key to the lake's bucket"
    )

    mqtt_url: SecretStr = Field(
        default=SecretStr("mqtt://127.0.0.1:1883"),
        description="broker of `millrace bridge mqtt`: mqtt[s]://[USER:PASSWORD@]HOST[:PORT]",
    )
    alerts_webhook_url: SecretStr = Field(
        default=SecretStr(""), description="where alerts are POSTed; empty: nowhere"
    )
    alerts_webhook_form: Literal["json", "slack", "alertmanager"] = Field(
        default="json", description="what is POSTed: json (the alert itself), slack, alertmanager"
    )
    alerts_smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="smtp://[USER:PASSWORD@]HOST[:PORT] that mails alerts; empty: none",
    )
    alerts_mail_from: str = Field(default="millrace@localhost", description="sender of the mails")
    alerts_age_s: int = Field(
        default=3600,
        gt=0,
        description="an alert told of longer ago (seconds) is sent only if it is open still",
    )
    alerts_mail_to: str = Field(default="", description="to whom alerts are mailed")
    monitoring_scrape_s: int = Field(
        default=5, ge=1, description="from one scrape by Prometheus to the next, in seconds"
    )
    monitoring_patience: float = Field(
        default=1.0,
        gt=0,
        le=10,
        description="factor on windows and waiting times of alert rules; 0.02 suits a drill",
    )
    processes_by_name: bool = Field(
        default=False,
        description="processes find others by their names, as containers have, not at host",
    )
    runbooks_url: str = Field(
        default="docs/runbooks.md", description="page of the runbooks that alerts link to"
    )
    api_keys: SecretStr = Field(
        default=SecretStr(""),
        description="comma-separated keys; empty: the stack makes one, in state_dir",
    )
    airflow_password: SecretStr = Field(
        default=SecretStr(""),
        description="of Airflow's user admin; empty: the stack makes one, in state_dir",
    )
    api_requests_per_second: int = Field(
        default=2000, ge=1, description="that each key may make of an API process"
    )
    api_max_body_bytes: int = Field(
        default=16_384, ge=256, description="of a POST; a longer one is answered 413"
    )
    score_deadline_ms: int = Field(
        default=1000, ge=1, description="default deadline_ms of POST /v1/fraud/transactions"
    )
    decisions_kept_days: int = Field(
        default=90, ge=1, description="how long Redis keeps a decision on a payment"
    )
    recommendations_sessions: int = Field(
        default=200_000, ge=1000, description="most recent sessions that recommendations rest on"
    )
    recommendations_items: int = Field(
        default=400_000, ge=1000, description="different items that recommendations know at most"
    )
    recommendations_visitors: int = Field(
        default=100_000, ge=1, description="visitors whose lists are kept fresh between clicks"
    )
    recommendations_kept_days: int = Field(
        default=7, ge=1, description="how long Redis keeps a visitor's list"
    )
    fraud_thresholds: Literal["targets", "cost"] = Field(
        default="targets",
        description="how training chooses a fraud model's thresholds: by targets of precision and "
        "review rate, or by what decisions cost",
    )
    fraud_cost_review: float = Field(
        default=4.0, ge=0, description="of a payment that people look at, in the amounts' currency"
    )
    fraud_cost_blocked: float = Field(
        default=20.0, ge=0, description="of a genuine payment that is blocked"
    )
    fraud_cost_passed: float = Field(
        default=1.0, ge=0, description="of a fraud that is approved, as a share of its amount"
    )
    fraud_least_precision: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="of blocked payments with a verdict; an alert tells when it is lower",
    )
    anomalies_database_url: SecretStr = Field(
        default=SecretStr(""),
        description="where detections are kept: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/"
        "NAME; empty: SQLite in state_dir",
    )
    anomalies_max_body_bytes: int = Field(
        default=4_194_304, ge=256, description="of a POST that brings windows of features"
    )
    anomalies_kept_days: int = Field(
        default=90, ge=1, description="how long a detection is kept, from when it was made"
    )
    retrain_days: int = Field(
        default=90, ge=1, description="of data that a retraining reads, up to its logical date"
    )
    retrain_verdict_days: int = Field(
        default=7,
        ge=1,
        description="within which a verdict must come after its payment for a model to learn of it",
    )
    retrain_rows: int = Field(
        default=5000, ge=1, description="least rows held out for the gate; a quarter of the data"
    )
    retrain_frauds: int = Field(default=50, ge=1, description="least frauds among those rows")
    retrain_questions: int = Field(
        default=1000, ge=1, description="least questions held out for the gate of recommendations"
    )
    retrain_worse_by: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="by how much a new model's metrics may lie below those of the one in use",
    )
    retrain_surely_worse: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="whether a new model that is surely worse, however little, may come into use",
    )
    retrain_data: Path | None = Field(
        default=None,
        description="files with the Fraud Detection Handbook's columns, instead of the lake",
    )
    retrain_vectors: Literal["logged", "backfilled"] = Field(
        default="logged",
        description="of the lake: those that the job logged, or history by `millrace backfill` too",
    )
    mlflow_tracking_uri: str = Field(
        default="", description="MLflow's tracking store; empty: SQLite in state_dir"
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
