"""Cut keyed readings into windows of features: `domain/anomalies/windows.py` on Flink's state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyflink.common import Time, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import (
    ListStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)

from domain.anomalies.windows import Front, Good, cut, told
from processing.streams import Rows

if TYPE_CHECKING:
    from pyflink.common import Row

FORGET_DAYS = 30
"""A sensor that has said nothing for so long is forgotten."""


class Windowing(KeyedProcessFunction):  # type: ignore[misc]  # pyflink has no types
    """Tell the features of a sensor's windows. Rows are the columns of `READINGS`.

    A reading is added to a list that is read only when a window is over.
    """

    def open(self, context: RuntimeContext) -> None:
        """Prepare the state."""
        ttl = StateTtlConfig.new_builder(Time.days(FORGET_DAYS))
        forget = ttl.set_update_type(StateTtlConfig.UpdateType.OnCreateAndWrite).build()
        kept = ListStateDescriptor("readings", Types.PICKLED_BYTE_ARRAY())
        front = ValueStateDescriptor("front", Types.PICKLED_BYTE_ARRAY())
        for one in (kept, front):
            one.enable_time_to_live(forget)
        self._kept, self._front = context.get_list_state(kept), context.get_state(front)
        self._row = Rows("ExtractedFeatures")

    def process_element(self, row: Row, context: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Yield the windows that a reading ends."""
        sensor_id, time, value, partition, offset, asset, kind, location = row
        reading = Good(time, value, (partition, offset), asset, kind, location)
        closed, due, waiting = self._front.value() or (0, None, 0)
        front = Front(closed, due, waiting)
        if front.takes(reading):
            self._kept.add(tuple(reading))
            front = front.then(reading)
        if front.over(time):
            windows, stays, front = cut((Good(*one) for one in self._kept.get()), time)
            self._kept.update([tuple(one) for one in stays])
            for window in windows:
                yield self._row(told(sensor_id, window))
        self._front.update((front.closed, front.due, front.kept))
