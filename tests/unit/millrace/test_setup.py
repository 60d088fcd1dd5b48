"""scripts/setup.sh, one function at a time, in a folder of its own with tools that only pretend."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from config.settings import ROOT

HEAD = """\
source scripts/setup.sh
build=$PWD/.build stamps=$PWD/.build/stamps logs=$PWD/.build/log policy=$PWD/policy-rc.d
mkdir -p "$stamps" "$logs"
"""

# Each runs the script itself.
pytestmark = pytest.mark.slow


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    for name in ("setup.sh", "java_home.sh", "jars.xml"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    (tmp_path / "bin").mkdir()
    return tmp_path


def _tool(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


def _environment(sandbox: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MILLRACE_", "JAVA_"))
    }
    return {**kept, "PATH": f"{sandbox / 'bin'}:{os.environ['PATH']}", **more}


def _bash(sandbox: Path, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("bash", "-c", HEAD + script),
        cwd=sandbox,
        env=_environment(sandbox, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


FETCH = "step jars 'fetching jars' fetch_jars jars kafka registry flink/jars"


@pytest.mark.parametrize("mvn", ["exit 1", "mkdir -p ${@: -1}; exit 0"])
def test_a_fetch_that_fails_or_brings_nothing_leaves_the_jars_and_is_not_stamped(
    sandbox: Path, mvn: str
) -> None:
    for name in ("kafka", "registry", "flink/jars"):
        (sandbox / ".build" / name).mkdir(parents=True)
    _tool(sandbox / "bin", "mvn", mvn)
    done = _bash(sandbox, f"{FETCH}\nstamp jars new")
    assert done.returncode != 0
    assert "failed: fetching jars" in done.stderr
    for name in ("kafka", "registry", "flink/jars"):
        assert (sandbox / ".build" / name).is_dir()
    assert not (sandbox / ".build" / "stamps" / "jars").exists()


def test_a_fetch_that_succeeds_replaces_the_jars(sandbox: Path) -> None:
    (sandbox / ".build" / "kafka").mkdir(parents=True)
    (sandbox / ".build" / "kafka" / "old.jar").touch()
    _tool(
        sandbox / "bin",
        "mvn",
        "d=${@: -1}; d=${d#-Dbuild=}; mkdir -p $d/kafka $d/registry $d/flink/jars",
    )
    assert _bash(sandbox, FETCH).returncode == 0
    assert not (sandbox / ".build" / "kafka" / "old.jar").exists()
    assert (sandbox / ".build" / "flink" / "jars").is_dir()


def test_a_step_ends_at_what_fails_in_it(sandbox: Path) -> None:
    done = _bash(
        sandbox, "work() { false; touch went-on; }\nstep work 'working' work\ntouch went-on"
    )
    assert done.returncode == 1
    assert not (sandbox / "went-on").exists()


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("MILLRACE_BUILD_DIR=plain  # why", "plain"),
        ('export MILLRACE_BUILD_DIR="with quotes" # why', "with quotes"),
        ("  MILLRACE_BUILD_DIR = 'a#b'", "a#b"),
        ("#MILLRACE_BUILD_DIR=no", ""),
        ("MILLRACE_BUILD_DIR=", ""),
        ("MILLRACE_BUILD_DIR=first\nMILLRACE_BUILD_DIR=last", "last"),
    ],
)
def test_a_setting_is_read_from_env_file(sandbox: Path, line: str, value: str) -> None:
    (sandbox / ".env").write_text(f"OTHER=1\n{line}\n")
    assert _bash(sandbox, "setting MILLRACE_BUILD_DIR").stdout == f"{value}\n"
    given = _bash(sandbox, "setting MILLRACE_BUILD_DIR", MILLRACE_BUILD_DIR="given")
    assert given.stdout == "given\n"


def test_the_build_folder_is_the_applications(sandbox: Path) -> None:
    (sandbox / ".env").write_text("MILLRACE_BUILD_DIR=elsewhere\n")
    assert _bash(sandbox, 'choose; echo "$build"').stdout == f"{sandbox}/elsewhere\n"
    refused = _bash(sandbox, "choose", MILLRACE_BUILD_DIR="/a:folder")
    assert (refused.returncode, "cannot carry" in refused.stderr) == (2, True)
    spaced = _bash(sandbox, 'choose; echo "$build"', MILLRACE_BUILD_DIR="/a folder")
    assert spaced.stdout == "/a folder\n"


@pytest.mark.parametrize(
    ("line", "chosen"),
    [
        ("--for demo", "- - -"),
        ("--for demo --with lake", "yes yes -"),
        ("--for demo --with airflow", "yes - yes"),
        ("--with airflow --for demo --with lake", "yes yes yes"),
        ("", "yes yes yes"),
    ],
)
def test_what_a_group_needs_is_brought(sandbox: Path, line: str, chosen: str) -> None:
    script = f'choose {line}; echo "${{lake:--}} ${{lake_jars:--}} ${{airflow:--}}"'
    assert _bash(sandbox, script).stdout == f"{chosen}\n"


def test_an_unknown_group_is_refused(sandbox: Path) -> None:
    done = _bash(sandbox, "choose --with sensors")
    assert (done.returncode, done.stderr) == (
        2,
        "setup: --with takes lake, airflow, monitoring or ml\n",
    )


def _compiler(folder: Path, version: str) -> Path:
    _tool(
        folder / "bin",
        "javac",
        f"echo 'Picked up JAVA_TOOL_OPTIONS: -X' >&2; echo 'javac {version}'",
    )
    return folder


@pytest.mark.parametrize(
    ("version", "taken"), [("17.0.15", True), ("25", True), ("11.0.2", False), ("1.8.0_402", False)]
)
def test_java_home_counts_from_17_on(sandbox: Path, version: str, taken: bool) -> None:
    home = _compiler(sandbox / "jdk", version)
    found = _bash(sandbox, "scripts/java_home.sh || true", JAVA_HOME=str(home)).stdout.strip()
    assert (found == str(home)) is taken


def test_a_java_home_that_is_gone_is_not_kept(sandbox: Path) -> None:
    gone = str(sandbox / "gone")
    assert _bash(sandbox, "scripts/java_home.sh || true", JAVA_HOME=gone).stdout.strip() != gone


@pytest.mark.parametrize("code", [0, 100])
def test_services_may_start_again_after_apt(sandbox: Path, code: int) -> None:
    _tool(sandbox / "bin", "apt-get", f"cp policy-rc.d seen; exit {code}")
    done = _bash(sandbox, "step apt 'installing x' apt_install x")
    assert done.returncode == code
    assert "exit 101" in (sandbox / "seen").read_text()
    assert not (sandbox / "policy-rc.d").exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_services_may_start_again_after_apt_was_interrupted(
    sandbox: Path, sent: signal.Signals
) -> None:
    _tool(sandbox / "bin", "apt-get", "touch running; exec sleep 20")
    script = HEAD + "attempt packages x; exit $code"
    with subprocess.Popen(
        ("bash", "-c", script.replace("packages", "step apt 'installing' apt_install")),
        cwd=sandbox,
        env=_environment(sandbox),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell cannot trap what it was born ignoring.
        preexec_fn=partial(signal.signal, sent, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + 10
        while not (sandbox / "running").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, sent)  # as a terminal does: to all
        process.wait(60)
        while (sandbox / "policy-rc.d").exists():  # a shell may end before the one that cleans up
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_only_a_policy_that_a_killed_set_up_left_is_stale(sandbox: Path) -> None:
    policy, script = sandbox / "policy-rc.d", "if stale_policy; then echo stale; fi"
    assert _bash(sandbox, script).stdout == ""
    policy.write_text("#!/bin/sh\nexit 101\n")
    assert _bash(sandbox, script).stdout == ""
    _tool(sandbox / "bin", "apt-get", "cp policy-rc.d seen")
    policy.unlink()
    _bash(sandbox, "apt_install x")
    shutil.move(sandbox / "seen", policy)
    assert _bash(sandbox, script).stdout == "stale\n"
    policy.write_text(re.sub(r"process \d+", f"process {os.getpid()}", policy.read_text()))
    assert _bash(sandbox, script).stdout == ""


def test_a_policy_of_somebody_else_stays(sandbox: Path) -> None:
    (sandbox / "policy-rc.d").write_text("theirs")
    _tool(sandbox / "bin", "apt-get", "exit 0")
    assert _bash(sandbox, "step apt 'installing x' apt_install x").returncode == 0
    assert (sandbox / "policy-rc.d").read_text() == "theirs"


SUDO = """\
echo "sudo $*" >> sudo.log
case $1 in
  -n) exit 1 ;;                                   # it needs a password
  -v) [[ -t 0 ]] && read -r word && [[ $word == right ]] ;;
esac
"""


@pytest.mark.parametrize(("word", "code"), [("right", 0), ("wrong", 2)])
def test_sudo_may_ask_for_its_password_where_there_is_a_terminal(
    sandbox: Path, word: str, code: int
) -> None:
    _tool(sandbox / "bin", "sudo", SUDO)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{word}\n".encode())
        line = ("bash", "-c", f"{HEAD}as_root=(sudo)\nmay_install maven")
        done = subprocess.run(
            line, cwd=sandbox, env=_environment(sandbox), stdin=theirs, check=False, timeout=60
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code
    assert (sandbox / "sudo.log").read_text() == "sudo -n true\nsudo -v\n"


def test_sudo_that_would_ask_without_a_terminal_is_refused(sandbox: Path) -> None:
    _tool(sandbox / "bin", "sudo", SUDO)
    done = _bash(sandbox, "as_root=(sudo)\nmay_install maven")
    assert done.returncode == 2
    assert "there is no terminal" in done.stderr


WHOLE = """\
look_for_packages() {{ missing=({missing}); }}
has_venv() {{ true; }}
stale_policy() {{ false; }}
may_install() {{ echo "may install $*"; }}
packages() {{
  echo "apt in shell $BASH_SUBSHELL reads $(readlink /proc/self/fd/0)"
  touch apt; sleep 0.5; {apt}
}}
python_side() {{ while [[ ! -e apt ]]; do sleep 0.02; done; echo "python beside apt"; }}
java_side() {{ {java}; echo "java done"; }}
main --for demo
"""


def test_apt_is_in_the_foreground_while_pythons_side_runs(sandbox: Path) -> None:
    (sandbox / "terminal").touch()
    script = WHOLE.format(missing="maven", apt="echo installed", java="true")
    done = _bash(sandbox, f"exec < {sandbox}/terminal\n{script}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    # The caller's, not a background job's /dev/null.
    assert f"reads {sandbox}/terminal" in done.stdout
    assert (
        lines.index("may install maven")
        < lines.index("python beside apt")
        < lines.index("installed")
    )
    assert lines.index("installed") < lines.index("java done")


@pytest.mark.parametrize(("apt", "java"), [("return 7", "true"), ("true", "return 7")])
def test_what_fails_on_either_side_fails_the_set_up(sandbox: Path, apt: str, java: str) -> None:
    done = _bash(sandbox, WHOLE.format(missing="maven", apt=apt, java=java))
    assert done.returncode == 7
    assert "python beside apt" in done.stdout  # the other side is not left behind
    assert "ready" not in done.stdout
