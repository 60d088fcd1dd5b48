"""Configuration rendered from the settings: what the parts will read."""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from config.errors import UserError
from config.settings import Settings
from millrace.stack.layout import Layout
from millrace.stack.parts import flink, kafka, redis, registry, workers
from millrace.stack.parts.jvm import java
from millrace.stack.processes import processes, selected
from millrace.stack.supervisor import LONGEST_SOCKET_PATH, render, socket_path


@pytest.mark.slow
def test_every_port_moves_with_the_offset(tmp_path: Path) -> None:
    here, there = (
        Settings(state_dir=tmp_path, port_offset=0),
        Settings(state_dir=tmp_path, port_offset=700),
    )
    for name, process in processes(here).items():
        assert {purpose: port + 700 for purpose, port in process.ports.items()} == processes(there)[
            name
        ].ports


def test_no_two_processes_share_a_port(tmp_path: Path) -> None:
    ports = [
        port
        for process in processes(Settings(state_dir=tmp_path)).values()
        for port in process.ports.values()
    ]
    assert len(ports) == len(set(ports))


def test_kafka_keeps_its_data_in_the_state_folder_and_creates_no_topic_unasked(
    tmp_path: Path,
) -> None:
    settings = Settings(state_dir=tmp_path, port_offset=5)
    properties = kafka.properties(settings)
    assert properties["log.dirs"] == str(tmp_path / "kafka" / "data")
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:19097,CONTROLLER://127.0.0.1:19098"
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:19097"
    assert properties["auto.create.topics.enable"] == "false"


def test_kafka_tells_clients_the_address_they_reach_it_at(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, host="kafka", kafka_bootstrap_override="kafka:19092")
    assert kafka.properties(settings)["advertised.listeners"] == "PLAINTEXT://kafka:19092"


def test_redis_keeps_what_it_answers(tmp_path: Path) -> None:
    found = redis.configuration(Settings(state_dir=tmp_path))
    assert found["bind"] == "127.0.0.1"
    assert found["dir"] == f'"{tmp_path}/redis"'
    assert (found["appendonly"], found["appendfsync"], found["save"]) == ("yes", "everysec", '""')


def test_redis_takes_any_folder() -> None:
    assert redis.quoted('/a b/c"d\\e') == '"/a b/c\\"d\\\\e"'


def test_the_registry_stores_its_ids_in_a_file(tmp_path: Path) -> None:
    url = registry.environment(Settings(state_dir=tmp_path))["REGISTRY_DATASOURCE_URL"]
    assert url.startswith(f"jdbc:h2:file:{tmp_path}/registry/")


def test_flink_is_configured_from_the_settings(tmp_path: Path) -> None:
    settings = Settings(
        state_dir=tmp_path,
        flink_checkpoint_interval_ms=700,
        flink_parallelism=2,
        flink_task_slots=3,
    )
    found = flink.config(settings)
    assert found["execution.checkpointing.interval"] == "700 ms"
    assert found["execution.checkpointing.dir"] == f"file://{tmp_path}/flink/checkpoints"
    assert found["parallelism.default"] == 2
    assert found["taskmanager.numberOfTaskSlots"] == 3
    assert found["state.backend.rocksdb.use-bloom-filter"] is True
    assert (
        found["execution.checkpointing.externalized-checkpoint-retention"]
        == "RETAIN_ON_CANCELLATION"
    )


@pytest.mark.parametrize("size", ["896m", "1g", "2g", "8g"])
def test_a_taskmanagers_parts_add_up_to_its_size(size: str) -> None:
    memory = flink.taskmanager_memory(size)
    fixed = (
        flink.METASPACE
        + flink.OVERHEAD
        + flink.NETWORK
        + flink.FRAMEWORK_HEAP
        + flink.FRAMEWORK_OFF_HEAP
    )
    assert sum(memory.values()) + fixed == flink.mebibytes(size)
    assert min(memory.values()) > 40


def test_most_of_a_taskmanager_of_usual_size_is_the_heap_then_rocksdbs() -> None:
    memory = flink.taskmanager_memory("2g")
    assert memory["task_heap"] > memory["rocksdb"] > memory["managed"]


@pytest.mark.parametrize(("size", "mebibytes"), [("768m", 768), ("2g", 2048), (" 1GB ", 1024)])
def test_sizes(size: str, mebibytes: int) -> None:
    assert flink.mebibytes(size) == mebibytes


@pytest.mark.parametrize("size", ["", "2048", "2t", "-1m"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(UserError, match="memory size"):
        flink.mebibytes(size)


def test_a_taskmanager_too_small_to_run_is_refused() -> None:
    with pytest.raises(UserError, match="at least 896m"):
        flink.taskmanager_memory("700m")


def test_a_stack_of_minutes_does_without_the_second_compiler() -> None:
    lasting, brief = Settings(), Settings(jvm_second_compiler=False)
    for name in ("taskmanager", "kafka"):
        assert "-XX:TieredStopAtLevel=1" not in processes(lasting)[name].command
        assert "-XX:TieredStopAtLevel=1" in processes(brief)[name].command


def test_supervisor_restarts_all_but_what_runs_once(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "100%")
    text = render(Layout.of(settings), processes(settings).values())
    parsed = configparser.RawConfigParser()
    parsed.read_string(text)
    programs = {
        name.removeprefix("program:") for name in parsed.sections() if name.startswith("program:")
    }
    assert programs == set(processes(settings))
    assert parsed["program:kafka"]["autorestart"] == "true"
    assert parsed["program:topics"]["autorestart"] == "false"
    # Supervisor expands %: one that is in a path must be doubled.
    assert parsed["program:kafka"]["stdout_logfile"] == f"{tmp_path}/100%%/logs/kafka.log"


def test_supervisor_tells_a_process_where_its_settings_are(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    parsed = configparser.RawConfigParser()
    parsed.read_string(render(Layout.of(settings), processes(settings).values()))
    *_, name, kept = shlex.split(parsed["program:redis"]["command"])
    assert (name, kept) == ("redis", str(tmp_path / "run" / "redis.environment"))


@pytest.mark.parametrize(
    "folder", ["/a ", "/a:b", "/a,b", "/100%", '/"', "/jürgen", "/a;b", "/a#b"]
)
def test_a_path_that_something_would_cut_or_change_is_unfit(folder: str, tmp_path: Path) -> None:
    assert "MILLRACE_STATE_DIR lies in" in (Layout(Path(folder), tmp_path).unfit() or "")
    assert "MILLRACE_BUILD_DIR lies in" in (Layout(tmp_path, Path(folder)).unfit() or "")
    assert "the project lies in" in (Layout(tmp_path, tmp_path, Path(folder)).unfit() or "")


def test_a_plain_path_is_fit_and_flinks_as_it_is() -> None:
    path = Path("/home/u.ser@corp/x+y=z/~state_1-2/two  words/ three")
    assert Layout(path, path, path).unfit() is None
    assert flink.uri(path) == f"file://{path}"


SPACED = Path("/a b/my state")


def test_a_space_stays_within_its_argument() -> None:
    settings = Settings(state_dir=SPACED, build_dir=Path("/a b/built"))
    every = processes(settings)
    spaced = {
        name: {word for word in process.command[1:] if " " in word}
        for name, process in every.items()
    }
    assert spaced["redis"] == {f"{SPACED}/redis/redis.conf"}
    assert {"/a b/built/kafka/*", f"{SPACED}/kafka/server.properties"} < spaced["kafka"]
    for name in ("jobmanager", "taskmanager"):
        scratch = Layout.of(settings).scratch(name)
        assert {f"{SPACED}/flink/lib/*", f"-Dio.tmp.dirs={scratch}"} < spaced[name]
        assert every[name].env["FLINK_CONF_DIR"] == f"{SPACED}/flink/conf"
    assert redis.configuration(settings)["dir"] == f'"{SPACED}/redis"'
    assert flink.config(settings)["execution.checkpointing.dir"] == (
        f"file://{SPACED}/flink/checkpoints"
    )


def test_supervisor_reads_folders_with_spaces() -> None:
    settings = Settings(state_dir=SPACED)
    parsed = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    text = render(Layout.of(settings), processes(settings).values(), "/a b/.venv/bin/python")
    parsed.read_string(text)
    assert shlex.split(parsed["program:kafka"]["command"]) == [
        "/a b/.venv/bin/python",
        *("-m", "millrace.stack.run", "kafka", f"{SPACED}/run/kafka.environment"),
    ]
    assert parsed["program:kafka"]["stdout_logfile"] == f"{SPACED}/logs/kafka.log"
    assert parsed["unix_http_server"]["file"] == f"{SPACED}/run/supervisor.sock"


def test_only_flinks_runner_of_python_workers_takes_spaces_as_part_of_a_path(
    tmp_path: Path,
) -> None:
    layout = Layout(tmp_path / "my state", tmp_path)
    workers.prepare(layout)
    given = {"PATH": os.environ["PATH"], **workers.environment(layout)}
    said = {}
    for name in ("pyflink-udf-runner.sh", "other.sh"):
        script = tmp_path / "my state" / name
        script.write_text('words="a b"\nprintf "<%s>" $words\nbash -c "echo ${BASH_ENV-none}"\n')
        said[name] = subprocess.run(
            ["bash", script], env=given, capture_output=True, text=True, check=True
        ).stdout
    assert said == {"pyflink-udf-runner.sh": "<a b>none\n", "other.sh": "<a><b>none\n"}
    assert workers.environment(Layout(tmp_path, tmp_path, tmp_path)) == {}


@pytest.mark.parametrize(
    ("version", "taken"), [("17.0.15", True), ("25", True), ("11.0.2", False), ("1.8.0_402", False)]
)
def test_an_old_java_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, taken: bool
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch()
    (tmp_path / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert (java() == str(tmp_path / "bin" / "java")) is taken


def test_a_socket_path_too_long_for_the_kernel_moves(tmp_path: Path) -> None:
    short, deep = Layout(Path("/s"), tmp_path), Layout(Path("/") / ("x" * 120), tmp_path)
    assert socket_path(short) == Path("/s/run/supervisor.sock")
    assert len(str(socket_path(deep))) <= LONGEST_SOCKET_PATH
    assert socket_path(deep) != socket_path(Layout(Path("/") / ("y" * 120), tmp_path))


def test_only_brings_what_it_depends_on(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    assert list(selected(settings, ("taskmanager",))) == ["jobmanager", "taskmanager"]
    assert list(selected(settings, ())) == list(processes(settings))
    with pytest.raises(
        UserError, match="no process or group named zookeeper; there are: kafka, reg"
    ):
        selected(settings, ("zookeeper",))


def test_dependencies_come_before_what_needs_them(tmp_path: Path) -> None:
    seen: set[str] = set()
    for process in processes(Settings(state_dir=tmp_path)).values():
        assert seen.issuperset(process.depends_on), process.name
        seen.add(process.name)
