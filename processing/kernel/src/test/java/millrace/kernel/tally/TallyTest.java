package millrace.kernel.tally;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import millrace.kernel.spec.SpecException;
import millrace.kernel.state.Bytes;
import millrace.kernel.state.StateStore;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
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

  private final Map<String, Sums> sums = new TreeMap<>();
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
            sums.computeIfAbsent(window, none -> new Sums()).add(row.getBinary(2));
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
    return sums.get(length + "@" + start).figures;
  }

  @Test
  void aPathIsCountedInTheWindowsThatHoldItWhole() {
    take(event("v", HOUR + 4 * MINUTE, Stage.VIEW, null, null));
    take(event("c", HOUR + 4 * MINUTE + 5, Stage.CART, null, null));
    take(event("p", HOUR + 6 * MINUTE, Stage.LINE, "o", 1250L));
    take(event("q", HOUR + 6 * MINUTE, Stage.LINE, "o", null));
    long[] hour = window(HOUR, HOUR);
    assertEquals(4, hour[Added.EVENTS]);
    assertEquals(1, hour[Added.ORDERS]);
    assertEquals(1250, hour[Added.GMV]);
    assertEquals(1, hour[Added.UNPRICED]);
    assertEquals(1, hour[Added.VISITORS]);
    assertEquals(1, hour[Added.BUYERS]);
    assertEquals(1, hour[Added.PURCHASED]);
    assertEquals(1, hour[Added.SESSIONS_PURCHASED]);
    long[] first = window(5 * MINUTE, HOUR);
    assertArrayEquals(
        new long[] {1, 1, 0},
        new long[] {first[Added.VIEWED], first[Added.CARTED], first[Added.PURCHASED]});
    long[] second = window(5 * MINUTE, HOUR + 5 * MINUTE);
    assertArrayEquals(
        new long[] {0, 0, 0, 1},
        new long[] {
          second[Added.VIEWED], second[Added.CARTED], second[Added.PURCHASED], second[Added.BUYERS]
        });
  }

  @Test
  void theOrderOfThePathCountsAndALateEventMendsIt() {
    take(event("p", 30, Stage.LINE, "o", 1L));
    take(event("c", 20, Stage.CART, null, null));
    assertEquals(0, window(HOUR, 0)[Added.CARTED]);
    take(event("v", 25, Stage.VIEW, null, null));
    assertEquals(0, window(HOUR, 0)[Added.CARTED], "the cart came before the view");
    take(event("w", 20, Stage.VIEW, null, null));
    assertEquals(1, window(HOUR, 0)[Added.CARTED], "at once is in order");
    assertEquals(1, window(HOUR, 0)[Added.PURCHASED]);
  }

  @Test
  void anEventBetweenTwoSessionsTakesOneBack() {
    take(event("v", 0, Stage.VIEW, null, null));
    take(event("c", 10, Stage.CART, null, null));
    take(event("p", 40 * MINUTE, Stage.LINE, "o", 1L));
    assertEquals(2, window(HOUR, 0)[Added.SESSIONS]);
    assertEquals(0, window(HOUR, 0)[Added.SESSIONS_PURCHASED]);
    assertEquals(1, window(HOUR, 0)[Added.PURCHASED], "the visitor bought all the same");
    take(event("x", 20 * MINUTE, Stage.OTHER, null, null));
    assertEquals(1, window(HOUR, 0)[Added.SESSIONS]);
    assertEquals(1, window(HOUR, 0)[Added.SESSIONS_PURCHASED]);
  }

  @Test
  void anIdIsKnownWithinItsMinute() {
    assertTrue(take(event("v", 5, Stage.VIEW, null, null)));
    assertFalse(take(event("v", 7, Stage.CART, null, null)));
    assertTrue(take(event("v", MINUTE, Stage.VIEW, null, null)));
    assertEquals(2, window(HOUR, 0)[Added.EVENTS]);
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
    Map<String, Sums> expected = null;
    for (int round = 0; round < 20; round++) {
      begin();
      Collections.shuffle(events, random);
      events.forEach(this::take);
      events.subList(0, 9).forEach(one -> assertFalse(take(one)));
      if (expected == null) {
        expected = new TreeMap<>(sums);
      }
      assertEquals(expected.keySet(), sums.keySet());
      expected.forEach(
          (window, sum) -> assertArrayEquals(sum.figures, sums.get(window).figures, window));
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
  void itemsStandByAmountThenUnitsThenId() throws IOException {
    WindowSums function = new WindowSums();
    Sums one = function.createAccumulator();
    Sums two = function.createAccumulator();
    sold(one, "b", 1L, 500L);
    sold(one, null, 9L, 900L);
    sold(two, "a", 2L, null);
    sold(two, "c", 1L, 300L);
    sold(two, "d", 2L, null);
    sold(two, "c", 1L, 300L);
    function.merge(one, List.of(restored(two)));
    Row told = function.getValue(restored(one));
    assertArrayEquals(new String[] {"c", "b", "a", "d"}, (String[]) told.getField(18));
    assertArrayEquals(new Long[] {2L, 1L, 2L, 2L}, (Long[]) told.getField(19));
    assertArrayEquals(new Long[] {600L, 500L, 0L, 0L}, (Long[]) told.getField(20));
    assertEquals(4L, told.getField(21));
    assertEquals(6L, told.getField(0));
    assertEquals(-600L, told.getField(17));
  }

  @Test
  void theBestItemsAreToldAndAllAreCounted() {
    WindowSums function = new WindowSums();
    Sums sums = function.createAccumulator();
    List<Integer> items = new ArrayList<>(IntStream.range(0, 250).boxed().toList());
    Collections.shuffle(items, new Random(3));
    items.forEach(item -> sold(sums, "i" + item, 1L, 10L * item));
    Row told = function.getValue(sums);
    Object[] best = IntStream.range(0, 100).mapToObj(place -> "i" + (249 - place)).toArray();
    assertArrayEquals(best, (Object[]) told.getField(18));
    assertEquals(250L, told.getField(21));
  }

  /** One event of 100 that is taken back, as the last figure. */
  private static void sold(Sums sums, String item, Long units, Long minor) {
    long[] by = new long[Added.COUNT];
    by[Added.EVENTS] = 1;
    by[Added.PAID_BLOCKED] = -100;
    Bytes added = new Bytes(1);
    Added.write(by, added);
    new WindowSums().accumulate(sums, added.copy(), item, units, minor);
  }

  private static Sums restored(Sums sums) throws IOException {
    SumsSerializer serializer = new SumsSerializer();
    DataOutputSerializer out = new DataOutputSerializer(1);
    serializer.serialize(sums, out);
    return serializer.copy(
        serializer.deserialize(new DataInputDeserializer(out.getCopyOfBuffer())));
  }
}
