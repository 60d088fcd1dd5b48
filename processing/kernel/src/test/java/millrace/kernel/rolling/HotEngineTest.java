package millrace.kernel.rolling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import millrace.kernel.state.HeapBudget;
import millrace.kernel.state.HotHeads;
import millrace.kernel.state.MapStore;
import millrace.kernel.state.RowKey;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.DataType;
import org.junit.jupiter.api.Test;

/** What the engine computes does not hang on which heads are on the heap. */
class HotEngineTest {
  private static final DataType INPUT = DataTypes.ROW(DataTypes.FIELD("a", DataTypes.STRING()));

  @Test
  void everyRowsFeaturesAreThoseOfStateAlone() throws Exception {
    Layout layout =
        Play.layout(
            Play.window("w", 1_000, 24),
            Play.feature("sum", "sum", "w", Play.column("x"))
                + ", "
                + Play.feature("users", "distinct", "w", Play.column("u")),
            "\"id\": \"id\"");
    Engine plain = new Engine(layout);
    Engine hot = new Engine(layout);
    Keys expected = new Keys();
    Map<String, MapView<Long, byte[]>> state = new HashMap<>();
    MapStore store =
        new MapStore(
            RowKey.over(INPUT, new int[] {0}),
            new HotHeads(new HeapBudget(20_000)),
            () -> 0,
            Long.MAX_VALUE);
    Random random = new Random(5);
    for (int i = 0; i < 30_000; i++) {
      String key = "k" + random.nextInt(200);
      HeapRow row =
          new HeapRow(
              i * 10L - random.nextInt(30_000),
              "i" + random.nextInt(i + 1),
              random.nextInt(1_000) / 100.0,
              "u" + random.nextInt(5),
              "t",
              null,
              null);
      store.set(
          state.computeIfAbsent(key, k -> new MapView<>()),
          GenericRowData.of(StringData.fromString(key)));
      assertEquals(plain.process(row, expected.of(key)), hot.process(row, store));
      assertArrayEquals(plain.output().wholes, hot.output().wholes);
      assertArrayEquals(plain.output().numbers, hot.output().numbers);
      assertArrayEquals(plain.output().isNull, hot.output().isNull);
      assertEquals(plain.output().duplicate, hot.output().duplicate);
    }
    for (Map.Entry<String, MapView<Long, byte[]>> entry : state.entrySet()) {
      Map<Long, byte[]> stored = entry.getValue().getMap();
      Map<Long, byte[]> alone = expected.of(entry.getKey()).entries;
      assertEquals(alone.keySet(), stored.keySet());
      alone.forEach((number, value) -> assertArrayEquals(value, stored.get(number)));
    }
  }
}
