"""Write Alertmanager's configuration: what is told together, what hides what, and to whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monitoring.pace import Pace

ALERTS = "alerts"
"""The receiver that puts alerts on the platform's own topic."""
INTAKE = "/v1/alerts/prometheus"
"""Where the API takes them."""
DOWN = {
    "KafkaDown": "ConsumerLag|ScorerSilent|JobRestarting|CheckpointsFailing|"
    "LatencyBudgetBurn|LatencyBudgetBurnSlow|RegistryDown|ApiErrors|ApiSlow",
    "RedisDown": "ConsumerLag|ScorerSilent|RedisNearlyFull|LatencyBudgetBurn|LatencyBudgetBurnSlow"
    "|ApiErrors|ApiSlow",
    "JobNotRunning": "ScorerSilent|JobRestarting|CheckpointsFailing",
}
"""While an alert is open, what follows from it, which nobody needs to hear of."""


def configuration(webhook: str, key_file: Path, pace: Pace) -> dict[str, Any]:
    """Return `alertmanager.yml` as data. `webhook` takes the alerts, with the key in `key_file`."""
    critical = {"group_wait": f"{pace.wait('10s')}s", "group_interval": f"{pace.wait('1m')}s"}
    return {
        "route": {
            "receiver": ALERTS,
            # Few alerts in one message, for the API takes small bodies. What is told to people at
            # once is the sender's to say (config/alerts.yaml).
            "group_by": ["alertname", "entity"],
            "group_wait": f"{pace.wait('30s')}s",
            "group_interval": f"{pace.wait('5m')}s",
            "repeat_interval": "4h",
            "routes": [
                {"matchers": ['severity="critical"'], "receiver": ALERTS, **critical},
                {"matchers": ['severity=~"warning|info"'], "receiver": ALERTS},
            ],
        },
        "inhibit_rules": [
            *(
                {
                    "source_matchers": [f'alertname="{source}"'],
                    "target_matchers": [f'alertname=~"{targets}"'],
                }
                for source, targets in DOWN.items()
            ),
            {
                "source_matchers": ['alertname="LatencyBudgetBurn"'],
                "target_matchers": ['alertname="LatencyBudgetBurnSlow"'],
                "equal": ["consumer"],
            },
        ],
        "receivers": [
            {
                "name": ALERTS,
                "webhook_configs": [
                    {
                        "url": webhook,
                        "send_resolved": True,
                        "http_config": {
                            "authorization": {
                                "type": "Bearer",
                                "credentials_file": str(key_file),
                            }
                        },
                    }
                ],
            }
        ],
    }
