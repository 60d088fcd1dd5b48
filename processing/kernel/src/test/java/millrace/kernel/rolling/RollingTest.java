package millrace.kernel.rolling;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.types.DataType;
import org.apache.flink.util.Collector;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The function as Flink drives it: what it counts and what it hands on. */
class RollingTest {
  private static final DataType INPUT =
      DataTypes.ROW(
          DataTypes.FIELD("k", DataTypes.STRING()),
          DataTypes.FIELD("t", DataTypes.BIGINT()),
          DataTypes.FIELD("id", DataTypes.STRING()),
          DataTypes.FIELD("kind", DataTypes.STRING()));

  /** One ring of three tiles of 10 ms; labels update without emitting. */
  private static final String SPEC =
      """
      {"version": 1, "name": "s", "time": "t", "id": "id",
       "emit": [{"column": "kind", "op": "ne", "value": "label"}],
       "windows": {"w": {"tile_ms": 10, "tiles": 3}},
       "features": [{"name": "n", "aggregate": "count", "window": "w"}]}
      """;

  private final Map<String, Counter> counters = new HashMap<>();
  private final Map<String, MapView<Long, byte[]>> state = new HashMap<>();
  private final List<String> out = new ArrayList<>();
  private final Rolling rolling = new Rolling(SPEC, INPUT, new int[] {0});

  @BeforeEach
  void open() {
    MetricGroup group =
        new UnregisteredMetricsGroup() {
          @Override
          public Counter counter(String name) {
            return counters.computeIfAbsent(name, n -> new SimpleCounter());
          }
        };
    rolling.setCollector(new Printed(out));
    rolling.open(
        new FunctionContext(null) {
          @Override
          public MetricGroup getMetricGroup() {
            return group;
          }
        });
  }

  private void row(String key, Long time, String id, String kind) {
    RowData row =
        GenericRowData.of(
            StringData.fromString(key),
            time,
            StringData.fromString(id),
            StringData.fromString(kind));
    rolling.eval(state.computeIfAbsent(key, k -> new MapView<>()), row, null);
  }

  private void assertCounted(long late, long duplicate) {
    assertEquals(late, counters.get("late").getCount(), "late");
    assertEquals(duplicate, counters.get("duplicate").getCount(), "duplicate");
    assertEquals(2, counters.size());
  }

  @Test
  void rowsInTimeAreCountedAsNeither() {
    row("a", 100L, "1", "pay");
    row("a", 95L, "2", "pay");
    row("b", 5L, "1", "pay");
    assertCounted(0, 0);
  }

  @Test
  void lateRowsAreCounted() {
    row("a", 100L, "1", "pay");
    row("a", 79L, "2", "pay");
    assertCounted(1, 0);
    row("a", null, "3", "pay");
    assertCounted(2, 0);
    row("a", 80L, "4", "pay");
    assertCounted(2, 0);
  }

  @Test
  void duplicateRowsAreCounted() {
    row("a", 100L, "1", "pay");
    row("a", 100L, "1", "pay");
    assertCounted(0, 1);
    row("b", 100L, "1", "pay");
    assertCounted(0, 1);
    row("a", 100L, "1", "pay");
    assertCounted(0, 2);
  }

  @Test
  void rowsThatAreNotEmittedAreCountedToo() {
    row("a", 100L, "1", "pay");
    row("a", 50L, "2", "label");
    row("a", 101L, "3", "label");
    row("a", 101L, "3", "label");
    assertCounted(1, 1);
    assertEquals(1, out.size());
  }

  @Test
  void aRowOfEachKindIsHandedOnWithItsMarks() {
    row("a", 100L, "1", "pay");
    row("a", 100L, "2", "pay");
    row("a", 100L, "2", "pay");
    row("a", 9L, "3", "pay");
    assertEquals(
        List.of("1 false false", "2 false false", "null false true", "null true false"), out);
  }

  /** Writes rows down as they come, for they are reused. */
  private record Printed(List<String> lines) implements Collector<RowData> {
    @Override
    public void collect(RowData row) {
      Long n = row.isNullAt(0) ? null : row.getLong(0);
      lines.add(n + " " + row.getBoolean(1) + " " + row.getBoolean(2));
    }

    @Override
    public void close() {}
  }
}
