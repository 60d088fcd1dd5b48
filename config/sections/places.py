"""Declare where the parts lie and are reached, and the files that say what runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr

from config.root import ROOT


class Places(BaseModel):
    """Settings of addresses, folders and files."""

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
