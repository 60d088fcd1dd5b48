"""Write dashboards as Grafana reads them, by Grafana's own builders; they are for development."""

from __future__ import annotations

import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from monitoring.dashboards.panel import Dashboard, Panel

SOURCE = "prometheus"
"""The uid of the data source that is provisioned beside the dashboards."""
_GRID, _WIDE, _NARROW, _HEIGHT = 24, 12, 6, 8


def text(dashboard: Dashboard) -> str:
    """Return the dashboard's JSON."""
    made = (
        build.Dashboard(f"Millrace / {dashboard.title}")
        .uid(f"millrace-{dashboard.name}")
        .tags(["millrace"])
        .refresh("10s")
        .time("now-15m", "now")
        .readonly()
    )
    for row, panels in dashboard.rows.items():
        made.with_row(build.Row(row))
        for one in panels:
            made.with_panel(_panel(one))
    document = json.loads(JSONEncoder().encode(made.build()))
    _place(document["panels"])
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _place(panels: list[dict[str, Any]]) -> None:
    """Number the panels and lay them out, in lines as wide as Grafana's grid.

    The builders give no ids, and let panels of mixed widths stand out over the right edge.
    """
    x = y = height = 0
    for number, panel in enumerate(panels, start=1):
        place = panel["gridPos"]
        if x + place["w"] > _GRID:
            x, y = 0, y + height
        panel["id"], height = number, place["h"]
        place["x"], place["y"] = x, y
        x += place["w"]


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    made = stat.Panel() if panel.kind == "stat" else timeseries.Panel()
    made.title(panel.title).unit(panel.unit).height(_HEIGHT)
    made.span(_NARROW if panel.kind == "stat" else _WIDE)
    made.datasource(DataSourceRef(type_val="prometheus", uid=SOURCE))
    if panel.text or panel.empty:
        empty = f"Empty when {panel.empty}." if panel.empty else ""
        made.description(" ".join(filter(None, (panel.text, empty))))
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        made.with_target(Dataquery().ref_id(letter).expr(query.expr).legend_format(query.legend))
    return made
