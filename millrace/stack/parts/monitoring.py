"""Run Debian's Prometheus, Alertmanager and node exporter with configurations of ours."""

from __future__ import annotations

import shutil
from typing import Any

import yaml

from config.files import write
from config.products import groups, running
from config.settings import Settings
from millrace.stack.environ import api_keys
from millrace.stack.layout import Layout
from millrace.stack.process import Probe, Process, health, python
from monitoring import alertmanager as routes
from monitoring import prometheus as scrapes
from monitoring.pace import Pace
from monitoring.prometheus import Target
from monitoring.rules import rules

GROUP = "monitoring"
PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
NODE_EXPORTER = "prometheus-node-exporter"
RETENTION = "15d"  # the slowest burn rate looks three days back
# What a container or a laptop has of the machine; the others would only fail in their log.
COLLECTORS = ("cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev", "textfile", "uname")


def installed() -> bool:
    """Return whether Debian's packages are there."""
    return all(shutil.which(name) for name in (*PROGRAMS, NODE_EXPORTER))


def pace(settings: Settings) -> Pace:
    """Return how often Prometheus looks, and how patient its rules are."""
    return Pace(settings.monitoring_scrape_s, settings.monitoring_patience)


def watched(settings: Settings) -> tuple[str, ...]:
    """Return what Prometheus watches: it has to begin anew when that grows."""
    return (*(one.process for one in targets(settings)), *sorted(groups(settings)))


def targets(settings: Settings) -> tuple[Target, ...]:
    """Return the processes of the enabled groups that serve metrics."""
    port = settings.port
    ports = {
        "registry": port("registry"),
        "jobmanager": port("flink_jobmanager_metrics"),
        "taskmanager": port("flink_taskmanager_metrics"),
        "jobs": port("jobs"),
        "api": port("api"),
        "exporter": port("exporter"),
        "node-exporter": port("node_exporter"),
        "prometheus": port("prometheus"),
        "alertmanager": port("alertmanager"),
        **{
            f"consumer-{consumer.name}": consumer.port + settings.port_offset
            for product in running(settings)
            for consumer in product.consumers
        },
    }
    return tuple(
        Target(name, f"{settings.host_of(name)}:{number}") for name, number in ports.items()
    )


def prometheus(settings: Settings) -> tuple[str, ...]:
    """Return Prometheus' command line."""
    home = Layout.of(settings).monitoring
    return (
        "prometheus",
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'prometheus'}",
        f"--storage.tsdb.retention.time={RETENTION}",
        f"--web.listen-address={settings.host}:{settings.port('prometheus')}",
        "--log.level=warn",
    )


def alertmanager(settings: Settings) -> tuple[str, ...]:
    """Return Alertmanager's command line: one, so without a cluster."""
    home = Layout.of(settings).monitoring
    return (
        "prometheus-alertmanager",
        f"--config.file={home / 'alertmanager.yml'}",
        f"--storage.path={home / 'alertmanager'}",
        f"--web.listen-address={settings.host}:{settings.port('alertmanager')}",
        "--cluster.listen-address=",
        "--log.level=warn",
    )


def node_exporter(settings: Settings) -> tuple[str, ...]:
    """Return the node exporter's command line; it also passes on what commands have measured."""
    return (
        NODE_EXPORTER,
        f"--web.listen-address={settings.host}:{settings.port('node_exporter')}",
        "--web.disable-exporter-metrics",
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in COLLECTORS),
        f"--collector.textfile.directory={settings.state_dir / 'metrics'}",
        "--log.level=warn",
    )


def prepare_prometheus(settings: Settings) -> None:
    """Write configuration and rules of the enabled groups."""
    home = Layout.of(settings).monitoring
    (home / "prometheus").mkdir(parents=True, exist_ok=True)
    found = rules(groups(settings), pace(settings), settings.runbooks_url)
    write(home / "rules.yml", _yaml(found))
    at = f"{settings.host_of('alertmanager')}:{settings.port('alertmanager')}"
    document = scrapes.configuration(
        targets(settings), at, home / "rules.yml", settings.monitoring_scrape_s
    )
    write(home / "prometheus.yml", _yaml(document))


def prepare_alertmanager(settings: Settings) -> None:
    """Write the configuration, and the API's key, readable by its owner alone."""
    home = Layout.of(settings).monitoring
    (home / "alertmanager").mkdir(parents=True, exist_ok=True)
    key = home / "api-key"
    write(key, api_keys(settings).split(",")[0], mode=0o600)
    webhook = f"http://{settings.host_of('api')}:{settings.port('api')}{routes.INTAKE}"
    document = routes.configuration(webhook, key, pace(settings))
    write(home / "alertmanager.yml", _yaml(document))


def prepare_node_exporter(settings: Settings) -> None:
    """Make the folder of what commands have measured."""
    (settings.state_dir / "metrics").mkdir(parents=True, exist_ok=True)


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=120)


def processes(settings: Settings) -> list[Process]:
    """Return Prometheus, Alertmanager and what they look at, each after those it needs."""

    def page(name: str, path: str) -> Probe:
        return Probe("http", f"http://{settings.host}:{settings.port(name)}{path}")

    return [
        Process(
            name="exporter",
            command=python("monitoring.exporter"),
            ports={"metrics": settings.port("exporter")},
            depends_on=("topics", "redis"),
            ready=Probe("http", health(settings, settings.port("exporter"))),
            memory=256,
            group=GROUP,
        ),
        Process(
            name="node-exporter",
            command=node_exporter(settings),
            prepare=prepare_node_exporter,
            ports={"metrics": settings.port("node_exporter")},
            ready=page("node_exporter", "/metrics"),
            memory=64,
            group=GROUP,
        ),
        Process(
            name="alertmanager",
            command=alertmanager(settings),
            prepare=prepare_alertmanager,
            ports={"http": settings.port("alertmanager")},
            ready=page("alertmanager", "/-/ready"),
            memory=128,
            group=GROUP,
        ),
        Process(
            name="prometheus",
            command=prometheus(settings),
            prepare=prepare_prometheus,
            ports={"http": settings.port("prometheus")},
            ready=page("prometheus", "/-/ready"),
            serves=watched(settings),
            memory=512,
            group=GROUP,
        ),
    ]
