package millrace.kernel.rolling;

import static millrace.kernel.rolling.Play.LABELS;
import static millrace.kernel.rolling.Play.column;
import static millrace.kernel.rolling.Play.feature;
import static millrace.kernel.rolling.Play.window;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import millrace.kernel.state.HeapBudget;
import millrace.kernel.state.HotHeads;
import millrace.kernel.state.MapStore;
import millrace.kernel.state.RowKey;
import millrace.kernel.state.StateStore;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.DataType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Entries of a key that expire, each some time after it was last written. */
class IdleTest {
  private static final long SPAN = 4 * 320;
  private static final String WINDOWS = window("s", 10, 5) + ", " + window("l", 320, 4);
  private static final String FEATURES =
      feature("n", "count", "s", "")
          + ", "
          + feature("sum", "sum", "l", column("x"))
          + ", "
          + feature("last", "last", "l", column("u"))
          + ", "
          + feature("users", "distinct", "l", column("u") + ", \"k\": 256")
          + ", "
          + feature("some", "distinct", "s", column("u") + ", \"k\": 256");
  private static final String OTHER = feature("most", "max", "s", column("x")) + ", " + FEATURES;
  private static final String MORE = "\"id\": \"id\", " + LABELS;
  private static final DataType KEY = DataTypes.ROW(DataTypes.FIELD("key", DataTypes.STRING()));

  /** What an entry holds that holds nothing: no ids, or tiles whose number is 0. */
  private static byte[] empty(long entry) {
    return (entry & 3) == 1 ? new byte[1] : new byte[0];
  }

  private static Object[] row(Random random, long time) {
    return new Object[] {
      time,
      "id" + time + random.nextInt(2),
      random.nextInt(1_000) / 100.0,
      "u" + random.nextInt(1_000),
      random.nextInt(5) == 0 ? "l" : "t"
    };
  }

  private static Map<String, Object> play(Play play, Object[] row) {
    return play.row(
        (Long) row[0], (String) row[1], (Double) row[2], (String) row[3], (String) row[4]);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void anEntryThatHasExpiredReadsAsAnEmptyOne(long seed) {
    Random random = new Random(seed);
    Play expiring = new Play(WINDOWS, FEATURES, MORE);
    Play emptied = new Play(WINDOWS, FEATURES, MORE);
    int[] dropped = new int[4];
    long clock = 0;
    for (int i = 0; i < 6_000; i++) {
      clock += random.nextInt(300) == 0 ? random.nextInt(1_000) : random.nextInt(3);
      int kind = random.nextInt(80);
      for (long entry : List.copyOf(expiring.store.entries.keySet())) {
        if ((entry & 3) != kind || (kind == 0 && random.nextInt(10) > 0)) {
          continue;
        }
        dropped[kind]++;
        expiring.store.entries.remove(entry);
        if (entry == StateStore.HEAD) {
          // Entries that it named stay: nobody must find them.
          emptied.store.entries.clear();
        } else {
          emptied.store.entries.computeIfPresent(entry, (e, value) -> empty(e));
        }
        kind = -1;
      }
      if (random.nextInt(300) == 0) {
        String features = random.nextBoolean() ? FEATURES : OTHER;
        String windows = random.nextBoolean() ? WINDOWS : WINDOWS + ", " + window("m", 10, 7);
        expiring.change(windows, features, MORE);
        emptied.change(windows, features, MORE);
      }
      Object[] row = row(random, clock - random.nextInt(random.nextInt(20) == 0 ? 1_500 : 30));
      assertEquals(play(emptied, row), play(expiring, row), "row " + i);
      assertArrayEquals(
          emptied.store.get(StateStore.HEAD), expiring.store.get(StateStore.HEAD), "row " + i);
    }
    for (int kind = 0; kind < dropped.length; kind++) {
      assertTrue(dropped[kind] > 0, "an entry of kind " + kind + " was dropped");
    }
  }

  /** As Flink's state with a time-to-live: an entry not put for so long is not there. */
  private static final class Expiring extends MapView<Long, byte[]> {
    private final Map<Long, Long> putAt = new HashMap<>();
    private final long[] now;
    private final long keep;

    Expiring(long[] now, long keep) {
      this.now = now;
      this.keep = keep;
    }

    @Override
    public byte[] get(Long entry) throws Exception {
      return putAt.getOrDefault(entry, Long.MIN_VALUE / 2) + keep <= now[0]
          ? null
          : super.get(entry);
    }

    @Override
    public void put(Long entry, byte[] value) throws Exception {
      putAt.put(entry, now[0]);
      super.put(entry, value);
    }
  }

  /** Keys whose state expires, with heads on the heap or without. */
  private static final class Idle {
    private final Engine engine = new Engine(Play.layout(WINDOWS, FEATURES, MORE));
    private final Map<String, Expiring> states = new HashMap<>();
    private final long[] now;
    private final long keep;
    private final MapStore store;

    Idle(long[] now, long keep, boolean hot) {
      this.now = now;
      this.keep = keep;
      RowKey keys = hot ? RowKey.over(KEY, new int[] {0}) : null;
      store = new MapStore(keys, new HotHeads(new HeapBudget(1 << 20)), () -> now[0], keep);
    }

    String row(String key, Object[] row) {
      store.set(
          states.computeIfAbsent(key, k -> new Expiring(now, keep)),
          GenericRowData.of(StringData.fromString(key)));
      HeapRow next = new HeapRow(row[0], row[1], row[2], row[3], row[4], null, null);
      boolean emits = engine.process(next, store);
      Output out = engine.output();
      StringBuilder text = new StringBuilder().append(emits).append(out.late).append(out.duplicate);
      for (int i = 0; emits && i < out.types.length; i++) {
        text.append(' ');
        if (!out.isNull[i]) {
          text.append(
              switch (out.types[i]) {
                case BIGINT -> out.wholes[i];
                case DOUBLE -> out.numbers[i];
                case STRING -> new String(out.texts[i], java.nio.charset.StandardCharsets.UTF_8);
              });
        }
      }
      return text.toString();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void nothingThatAWindowCoversIsLostWhileTimeMovesByASpanAndTheDisorder(long seed) {
    Random random = new Random(seed);
    long[] now = {1};
    long disorder = random.nextInt((int) SPAN);
    double pace = 0.1 + random.nextDouble();
    long keep = (long) Math.ceil((SPAN + disorder) / pace) + 1;
    Idle kept = new Idle(now, Long.MAX_VALUE / 2, false);
    Idle idle = new Idle(now, keep, random.nextBoolean());
    List<Object[]> seen = new ArrayList<>();
    for (int i = 0; i < 20_000; i++) {
      now[0] += random.nextInt(400) == 0 ? random.nextInt((int) keep) : random.nextInt(20);
      long newest = (long) (pace * now[0]);
      Object[] row = row(random, newest - random.nextLong(disorder + 1));
      if (!seen.isEmpty() && random.nextInt(10) == 0) {
        Object[] again = seen.get(seen.size() - 1 - random.nextInt(Math.min(seen.size(), 500)));
        row = (Long) again[0] >= newest - disorder ? again : row;
      }
      seen.add(row);
      // One key comes always, others seldom.
      String key = "k" + (random.nextInt(4) == 0 ? random.nextInt(300) : 0);
      assertEquals(kept.row(key, row), idle.row(key, row), "row " + i);
    }
  }

  @Test
  void aHeadOnTheHeapLivesNoLongerThanTheOneInTheState() {
    Random random = new Random(11);
    long[] now = {1};
    Idle state = new Idle(now, 500, false);
    Idle hot = new Idle(now, 500, true);
    for (int i = 0; i < 30_000; i++) {
      now[0] += random.nextInt(10);
      // Times that hardly move, so that everything would be found were it not for its age.
      Object[] row = row(random, now[0] / 50 - random.nextInt(60));
      String key = "k" + random.nextInt(random.nextBoolean() ? 3 : 300);
      assertEquals(state.row(key, row), hot.row(key, row), "row " + i);
    }
  }

  @Test
  void aKeyIdleForLongerBeginsAnewAndABusyOneKeepsEverything() {
    long[] now = {1};
    Idle idle = new Idle(now, 2 * SPAN, true);
    for (int i = 0; i < 100; i++) {
      now[0] += SPAN;
      Object[] row = {5L, "id" + i, 1.0, "u", "t"};
      String busy = idle.row("busy", row);
      assertTrue(busy.startsWith("truefalsefalse " + (i + 1) + " "), busy);
    }
    Object[] first = {5L, "a", 1.0, "u", "t"};
    idle.row("idle", first);
    now[0] += 2 * SPAN - 1;
    assertTrue(idle.row("idle", first).startsWith("truefalsetrue"), "a duplicate, still known");
    now[0] += 1;
    assertTrue(idle.row("idle", first).startsWith("truefalsefalse 1 "), "begun anew");
  }

  private static long kept(String more, long tileMs, int tiles) {
    return Play.layout(window("w", tileMs, tiles), feature("n", "count", "w", ""), more)
        .spec
        .keepIdleMs();
  }

  @Test
  void withoutAWordIdleStateIsKeptForThreeSpansAndThirtyDays() {
    long day = 86_400_000L;
    assertEquals(30 * day, kept("", 1_000, 1));
    assertEquals(90 * day, kept("", day, 30));
    assertEquals(60 * day, kept("\"keep_idle_ms\": " + 60 * day, day, 30));
    assertEquals(Long.MAX_VALUE, kept("", 1L << 62, 1));
    assertEquals(Long.MAX_VALUE, kept("\"keep_idle_ms\": " + Long.MAX_VALUE, day, 30));
    assertFalse(kept("", day, 11) < 33 * day);
  }
}
