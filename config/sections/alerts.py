"""Declare where alerts go, and how often Prometheus looks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class Alerts(BaseModel):
    """Settings of alerts and of the monitoring."""

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
