package millrace.kernel.tally;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import millrace.kernel.spec.SpecException;
import millrace.kernel.state.StateStore;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a visitor's events add, by hand, and that their order does not matter. */
class TallyTest {
  private static final String SPEC =
      "{\"version\":1,\"windows\":[60000,300000,3600000],\"gap_ms\":1800000,\"keep_idle_ms\":1}";
  private static final DataType INPUT =
      DataTypes.ROW(
          DataTypes.FIELD("id", DataTypes.STRING()),
          DataTypes.FIELD("time", DataTypes.TIMESTAMP_LTZ(3)),
          DataTypes.FIELD("stage", DataTypes.INT()),
          DataTypes.FIELD("order_id", DataTypes.STRING()),
          DataTypes.FIELD("minor", DataTypes.BIGINT()));
  private static final long MINUTE = 60_000;
  private static final long HOUR = 60 * MINUTE;
  // Columns of a window's sums.
  private static final int EVENTS = 0;
  private static final int ORDERS = 1;
  private static final int GMV = 2;
  private static final int UNPRICED = 3;
  private static final int VISITORS = 4;
  private static final int BUYERS = 5;
  private static final int VIEWED = 6;
  private static final int CARTED = 7;
  private static final int PURCHASED = 8;
  private static final int SESSIONS = 9;
  private static final int SESSIONS_PURCHASED = 12;

  private final Map<String, long[]> sums = new TreeMap<>();
  private final Head head = new Head();
  private Tally tally;

  private static final class Head implements StateStore {
    private byte[] value;

    @Override
    public byte[] get(long entry) {
      return value;
    }

    @Override
    public void put(long entry, byte[] put) {
      value = put;
    }

    @Override
    public void remove(long entry) {
      throw new AssertionError();
    }
  }

  @BeforeEach
  void begin() {
    sums.clear();
    head.value = null;
    tally = new Tally(SPEC, INPUT, new int[] {0});
    tally.begin();
    tally.setCollector(
        new Collector<RowData>() {
          @Override
          public void collect(RowData row) {
            String window = row.getLong(0) + "@" + row.getTimestamp(1, 3).getMillisecond();
            long[] sum = sums.computeIfAbsent(window, none -> new long[18]);
            for (int i = 0; i < sum.length; i++) {
              sum[i] += row.getLong(2 + i);
            }
          }

          @Override
          public void close() {}
        });
  }

  private static RowData event(String id, long at, int stage, String order, Long minor) {
    return GenericRowData.of(
        StringData.fromString(id),
        TimestampData.fromEpochMillis(at),
        stage,
        StringData.fromString(order),
        minor);
  }

  private boolean take(RowData event) {
    return tally.process(event, head);
  }

  private long[] window(long length, long start) {
    return sums.get(length + "@" + start);
  }

  @Test
  void aPathIsCountedInTheWindowsThatHoldItWhole() {
    take(event("v", HOUR + 4 * MINUTE, Stage.VIEW, null, null));
    take(event("c", HOUR + 4 * MINUTE + 5, Stage.CART, null, null));
    take(event("p", HOUR + 6 * MINUTE, Stage.LINE, "o", 1250L));
    take(event("q", HOUR + 6 * MINUTE, Stage.LINE, "o", null));
    long[] hour = window(HOUR, HOUR);
    assertEquals(4, hour[EVENTS]);
    assertEquals(1, hour[ORDERS]);
    assertEquals(1250, hour[GMV]);
    assertEquals(1, hour[UNPRICED]);
    assertEquals(1, hour[VISITORS]);
    assertEquals(1, hour[BUYERS]);
    assertEquals(1, hour[PURCHASED]);
    assertEquals(1, hour[SESSIONS_PURCHASED]);
    long[] first = window(5 * MINUTE, HOUR);
    assertArrayEquals(
        new long[] {1, 1, 0}, new long[] {first[VIEWED], first[CARTED], first[PURCHASED]});
    long[] second = window(5 * MINUTE, HOUR + 5 * MINUTE);
    assertArrayEquals(
        new long[] {0, 0, 0, 1},
        new long[] {second[VIEWED], second[CARTED], second[PURCHASED], second[BUYERS]});
  }

  @Test
  void theOrderOfThePathCountsAndALateEventMendsIt() {
    take(event("p", 30, Stage.LINE, "o", 1L));
    take(event("c", 20, Stage.CART, null, null));
    assertEquals(0, window(HOUR, 0)[CARTED]);
    take(event("v", 25, Stage.VIEW, null, null));
    assertEquals(0, window(HOUR, 0)[CARTED], "the cart came before the view");
    take(event("w", 20, Stage.VIEW, null, null));
    assertEquals(1, window(HOUR, 0)[CARTED], "at once is in order");
    assertEquals(1, window(HOUR, 0)[PURCHASED]);
  }

  @Test
  void anEventBetweenTwoSessionsTakesOneBack() {
    take(event("v", 0, Stage.VIEW, null, null));
    take(event("c", 10, Stage.CART, null, null));
    take(event("p", 40 * MINUTE, Stage.LINE, "o", 1L));
    assertEquals(2, window(HOUR, 0)[SESSIONS]);
    assertEquals(0, window(HOUR, 0)[SESSIONS_PURCHASED]);
    assertEquals(1, window(HOUR, 0)[PURCHASED], "the visitor bought all the same");
    take(event("x", 20 * MINUTE, Stage.OTHER, null, null));
    assertEquals(1, window(HOUR, 0)[SESSIONS]);
    assertEquals(1, window(HOUR, 0)[SESSIONS_PURCHASED]);
  }

  @Test
  void anIdIsKnownWithinItsMinute() {
    assertTrue(take(event("v", 5, Stage.VIEW, null, null)));
    assertFalse(take(event("v", 7, Stage.CART, null, null)));
    assertTrue(take(event("v", MINUTE, Stage.VIEW, null, null)));
    assertEquals(2, window(HOUR, 0)[EVENTS]);
  }

  @Test
  void paymentsAreNoVisitors() {
    take(event("a", -1, Stage.APPROVED, null, 100L));
    take(event("b", -2, Stage.BLOCKED, null, 30L));
    take(event("c", -3, Stage.REVIEWED, null, null));
    take(event("b", -2, Stage.BLOCKED, null, 30L));
    assertArrayEquals(
        new long[] {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 1, 130, 30}, window(HOUR, -HOUR));
  }

  @Test
  void inAnyOrderTheSameComesOfTheSameEvents() {
    Random random = new Random(8);
    List<RowData> events = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      int stage = random.nextInt(4);
      String order = stage == Stage.LINE ? "o" + random.nextInt(4) : null;
      long at = random.nextInt(120) * 30_000L / 2;
      events.add(event("e" + i, at, stage, order, stage == Stage.LINE ? 100L + i : null));
    }
    Map<String, long[]> expected = null;
    for (int round = 0; round < 20; round++) {
      begin();
      Collections.shuffle(events, random);
      events.forEach(this::take);
      events.subList(0, 9).forEach(one -> assertFalse(take(one)));
      if (expected == null) {
        expected = new TreeMap<>(sums);
      }
      assertEquals(expected.keySet(), sums.keySet());
      expected.forEach((window, sum) -> assertArrayEquals(sum, sums.get(window), window));
    }
  }

  @Test
  void whatCannotBeComputedIsRefused() {
    assertThrows(SpecException.class, () -> Spec.parse(SPEC.replace("300000", "7000")));
    assertThrows(SpecException.class, () -> Spec.parse(SPEC.replace("gap_ms", "gap")));
    DataType other = DataTypes.ROW(DataTypes.FIELD("id", DataTypes.STRING()));
    Tally broken = new Tally(SPEC, other, new int[] {0});
    assertThrows(SpecException.class, broken::begin);
  }

  @Test
  void itemsStandByAmountThenUnitsThenId() {
    TopItems top = new TopItems();
    TopItems.Sold one = top.createAccumulator();
    TopItems.Sold two = top.createAccumulator();
    top.accumulate(one, "b", 1L, 500L);
    top.accumulate(one, null, 9L, 900L);
    top.accumulate(two, "a", 2L, null);
    top.accumulate(two, "c", 1L, 300L);
    top.accumulate(two, "d", 2L, null);
    top.accumulate(two, "c", 1L, 300L);
    top.merge(one, List.of(two));
    Row told = top.getValue(one);
    assertArrayEquals(new String[] {"c", "b", "a", "d"}, (String[]) told.getField(0));
    assertArrayEquals(new Long[] {2L, 1L, 2L, 2L}, (Long[]) told.getField(1));
    assertArrayEquals(new Long[] {600L, 500L, 0L, 0L}, (Long[]) told.getField(2));
    assertEquals(4L, told.getField(3));
  }
}
