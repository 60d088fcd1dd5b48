"""Run Airflow: API server with its page, scheduler, and the processor of DAG files.

It has an environment of its own (.venv-airflow) and its metadata in SQLite; tasks are commands of
the application's environment, run one or two at a time by the scheduler itself.
"""

from __future__ import annotations

import base64
import hashlib
import json

from config.files import write
from config.settings import Settings
from millrace.stack.environ import made_once
from millrace.stack.layout import Layout
from millrace.stack.process import Probe, Process

GROUP = "airflow"
USER = "admin"
HEALTH = "/api/v2/monitor/health"


def url(settings: Settings) -> str:
    """Return the URL of Airflow's page and API."""
    return f"http://{settings.host}:{settings.port('airflow')}"


def command(settings: Settings, *arguments: str) -> tuple[str, ...]:
    """Return the command line of `airflow ARGUMENTS…`."""
    return (str(Layout.of(settings).airflow_python), "-m", "airflow", *arguments)


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment that configures Airflow, but for its secrets."""
    layout = Layout.of(settings)
    values = {
        ("core", "dags_folder"): str(layout.root / "orchestration" / "dags"),
        ("core", "load_examples"): "False",
        ("core", "executor"): "LocalExecutor",
        ("core", "parallelism"): "2",
        ("core", "dags_are_paused_at_creation"): "False",
        ("core", "execution_api_server_url"): f"{url(settings)}/execution/",
        ("core", "simple_auth_manager_users"): f"{USER}:admin",
        ("core", "simple_auth_manager_passwords_file"): str(layout.airflow_passwords),
        # Its processes write to one file; who waits for another's turn longer than this fails.
        ("database", "sql_alchemy_conn"): f"sqlite:///{layout.airflow / 'airflow.db'}?timeout=60",
        ("logging", "base_log_folder"): str(layout.airflow / "logs"),
        ("logging", "json_logs"): "True",
        ("api", "host"): settings.host,
        ("api", "port"): str(settings.port("airflow")),
        ("api", "base_url"): url(settings),
        ("dag_processor", "dag_bundle_storage_path"): str(layout.airflow / "bundles"),
        ("dag_processor", "refresh_interval"): "30",
        ("usage_data_collection", "enabled"): "False",
    }
    named = {
        f"AIRFLOW__{section.upper()}__{name.upper()}": value
        for (section, name), value in values.items()
    }
    # Without the project on its path: Airflow's libraries are of other versions.
    return {"AIRFLOW_HOME": str(layout.airflow), "PYTHONPATH": "", **named}


def secrets(settings: Settings) -> dict[str, str]:
    """Return the secrets that its processes share; they are made once, with the first of them."""
    key = made_once(Layout.of(settings).secret("airflow-key"))
    fernet = base64.urlsafe_b64encode(hashlib.sha256(f"fernet {key}".encode()).digest())
    return {
        "AIRFLOW__API_AUTH__JWT_SECRET": hashlib.sha256(f"jwt {key}".encode()).hexdigest(),
        "AIRFLOW__API__SECRET_KEY": hashlib.sha256(f"api {key}".encode()).hexdigest(),
        "AIRFLOW__CORE__FERNET_KEY": fernet.decode(),
    }


def password(settings: Settings) -> str:
    """Return the password of the user `admin`: the settings', else one that is made once."""
    given = settings.airflow_password.get_secret_value()
    return given or made_once(Layout.of(settings).secret("airflow-password"))


def prepare(settings: Settings) -> None:
    """Write the file of passwords, readable by its owner alone."""
    layout = Layout.of(settings)
    layout.airflow.mkdir(parents=True, exist_ok=True, mode=0o700)
    write(layout.airflow_passwords, json.dumps({USER: password(settings)}) + "\n", mode=0o600)


def processes(settings: Settings) -> list[Process]:
    """Return Airflow's processes, each after those it needs."""
    page = f"{url(settings)}{HEALTH}"
    tables, api = "airflow-tables", "airflow-api"
    parts = (
        (tables, ("db", "migrate"), (), Probe("exit"), 256),
        (api, ("api-server",), (tables,), Probe("http", page), 512),
        # It runs the tasks, too, and the API server reads their logs from the same folder.
        (
            "airflow-scheduler",
            ("scheduler", "--skip-serve-logs"),
            (api,),
            Probe("component", f"{page}#scheduler"),
            1024,
        ),
        (
            "airflow-dags",
            ("dag-processor",),
            (api,),
            Probe("component", f"{page}#dag_processor"),
            512,
        ),
    )
    return [
        Process(
            name=name,
            command=command(settings, *arguments),
            prepare=prepare,
            env=environment(settings),
            secrets=secrets,
            ports={"http": settings.port("airflow")} if name == api else {},
            depends_on=after,
            ready=ready,
            memory=memory,
            oneshot=ready.kind == "exit",
            group=GROUP,
            local=True,  # in containers Airflow runs from its own images
        )
        for name, arguments, after, ready, memory in parts
    ]
