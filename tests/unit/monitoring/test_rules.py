"""Rules and configurations, judged by Prometheus' and Alertmanager's own tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from config.products import known_groups
from config.settings import ROOT
from monitoring import alertmanager, prometheus
from monitoring.pace import Pace
from monitoring.prometheus import Target
from monitoring.rules import PARTS, alerts, rules

CASES = Path(__file__).parent / "rules"
RUNBOOKS = "docs/runbooks.md"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool: scripts/setup.sh --with monitoring"
)
needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="no amtool: scripts/setup.sh --with monitoring"
)


def _passes(*line: str, cwd: Path) -> str:
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _write(folder: Path, pace: Pace) -> None:
    found = rules(None, pace, RUNBOOKS)
    (folder / "rules.yml").write_text(yaml.safe_dump(found, sort_keys=False))


@pytest.mark.slow
@needs_promtool
@pytest.mark.parametrize("pace", [Pace(), Pace(1, 0.02), Pace(60, 10)], ids=str)
def test_promtool_takes_the_configuration_with_its_rules(tmp_path: Path, pace: Pace) -> None:
    _write(tmp_path, pace)
    targets = [Target("api", "127.0.0.1:1"), Target("taskmanager", "127.0.0.1:2")]
    document = prometheus.configuration(
        targets, "127.0.0.1:3", tmp_path / "rules.yml", pace.scrape_s
    )
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(document))
    _passes("promtool", "check", "config", "prometheus.yml", cwd=tmp_path)


@pytest.mark.slow
@needs_promtool
@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_rules_fire_when_they_should_and_else_do_not(tmp_path: Path, case: Path) -> None:
    _write(tmp_path, Pace())
    shutil.copy(case, tmp_path / "case.yaml")
    _passes("promtool", "test", "rules", "case.yaml", cwd=tmp_path)


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    fire = {
        check["alertname"]
        for path in CASES.glob("*.yaml")
        for one in yaml.safe_load(path.read_text())["tests"]
        for check in one["alert_rule_test"]
        if check.get("exp_alerts")
    }
    assert {one.name for one in alerts()} == fire


def test_every_alert_has_a_runbook() -> None:
    text = (ROOT / RUNBOOKS).read_text()
    headings = {line[3:].strip() for line in text.splitlines() if line.startswith("## ")}
    assert {one.name for one in alerts()} <= headings


def test_alerts_are_named_once_and_need_a_group_that_there_is() -> None:
    every = alerts()
    assert len({one.name for one in every}) == len(every)
    assert {one.needs for one in every} <= set(known_groups())
    assert len(PARTS) == len(set(PARTS))


def test_a_part_that_is_off_brings_no_rule() -> None:
    names = {one.name for one in alerts({"core"})}
    assert "KafkaDown" in names
    assert "ScorerSilent" not in names


@needs_amtool
class TestRoutes:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        key = tmp_path / "key"
        key.write_text("secret")
        document = alertmanager.configuration("http://127.0.0.1:1/v1", key, Pace())
        (tmp_path / "am.yml").write_text(yaml.safe_dump(document))
        return tmp_path

    def test_amtool_takes_the_configuration(self, home: Path) -> None:
        assert "SUCCESS" in _passes("amtool", "check-config", "am.yml", cwd=home)

    @pytest.mark.parametrize("severity", ["critical", "warning", "info"])
    def test_every_severity_goes_to_the_alerts(self, home: Path, severity: str) -> None:
        line = ("amtool", "config", "routes", "test", "--config.file=am.yml")
        told = _passes(*line, "--verify.receivers=alerts", f"severity={severity}", cwd=home)
        assert "alerts" in told

    def test_what_is_inhibited_is_an_alert_that_there_is(self) -> None:
        names = {one.name for one in alerts()}
        for source, targets in alertmanager.DOWN.items():
            assert {source, *targets.split("|")} <= names
