"""Watch the channels of an asset in a stream keyed by asset: `domain/sensors/joint.py`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from domain.events import SensorScore
from domain.sensors.joint import Asset, watch_asset
from ingestion.sensors.limits_file import LimitsFile
from processing.streams import Rows
from processing.tables import columns

if TYPE_CHECKING:
    from pyflink.common import Row

COLUMNS = tuple(columns("SensorScore"))
ASSET = COLUMNS.index("asset_id")


class Assets(KeyedProcessFunction):  # type: ignore[misc]  # pyflink has no types
    """Tell of channels that do not go together. Rows are those of a SensorScore, in no order."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def open(self, context: RuntimeContext) -> None:
        """Prepare the state, and read what is watched together."""
        self._kept = context.get_state(ValueStateDescriptor("asset", Types.PICKLED_BYTE_ARRAY()))
        self._limits = LimitsFile(self._file, time.monotonic)
        self._alert = Rows("Alert")

    def process_element(self, row: Row, context: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Yield the alerts that follow from a reading."""
        name = str(context.get_current_key())
        limits = self._limits.limits
        joint = limits.joints.get(name)
        if joint is None:
            self._kept.clear()
            return
        reading = SensorScore(**dict(zip(COLUMNS, row, strict=True)))
        asset = Asset.load(self._kept.value(), joint)
        told = list(watch_asset(name, reading, limits, asset))
        self._kept.update(asset.dump())
        for alert in told:
            yield self._alert(alert)
