package millrace.kernel.rolling;

import static millrace.kernel.rolling.Play.LABELS;
import static millrace.kernel.rolling.Play.column;
import static millrace.kernel.rolling.Play.feature;
import static millrace.kernel.rolling.Play.window;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.Map;
import millrace.kernel.state.StateStore;
import org.junit.jupiter.api.Test;

/** Rows that pass through. */
class PassTest {
  private static final String WINDOWS = window("s", 10, 2) + ", " + window("l", 100, 3);
  private static final String FEATURES =
      feature("n", "count", "s", "")
          + ", "
          + feature("sum", "sum", "l", column("x"))
          + ", "
          + feature("last", "last", "l", column("u"));
  private static final String ID = "\"id\": \"id\"";
  private static final String PASS =
      "\"pass\": [{\"column\": \"kind\", \"op\": \"eq\", \"value\": \"p\"}]";

  private static final Map<String, Object> BLANK = new HashMap<>();

  static {
    BLANK.put("n", null);
    BLANK.put("sum", null);
    BLANK.put("last", null);
    BLANK.put("late", false);
    BLANK.put("duplicate", false);
  }

  private static Layout layout(String more) {
    return Play.layout(WINDOWS, FEATURES, more);
  }

  /** Refuses to be touched. */
  private static final class NoStore implements StateStore {
    @Override
    public byte[] get(long entry) {
      throw new AssertionError("read");
    }

    @Override
    public void put(long entry, byte[] value) {
      throw new AssertionError("written");
    }

    @Override
    public void remove(long entry) {
      throw new AssertionError("removed");
    }
  }

  @Test
  void theStateIsNotTouched() {
    Engine engine = new Engine(layout(ID + ", " + PASS));
    for (Long time : new Long[] {null, 0L, Long.MIN_VALUE, Long.MAX_VALUE}) {
      HeapRow row = new HeapRow(time, "a", 1.0, "u", "p", true, 3L);
      assertTrue(engine.process(row, new NoStore()));
      assertArrayEquals(new boolean[] {true, true, true}, engine.output().isNull);
      assertEquals(false, engine.output().late);
      assertEquals(false, engine.output().duplicate);
    }
  }

  @Test
  void nothingOfThemIsSeenByOtherRows() {
    Play touched = new Play(WINDOWS, FEATURES, ID + ", " + PASS);
    Play untouched = new Play(WINDOWS, FEATURES, ID);
    for (long i = 0; i < 200; i++) {
      long time = i * 7 % 450;
      assertEquals(BLANK, touched.row(time * 1_000, "id" + i, 9.0, "p", "p"));
      assertEquals(BLANK, touched.row(time, "id" + i, 9.0, "p", "p"));
      assertEquals(
          untouched.row(time, "id" + i % 90, i / 8.0, "u" + i, "t"),
          touched.row(time, "id" + i % 90, i / 8.0, "u" + i, "t"));
      assertEquals(BLANK, touched.row(time, "id" + i % 90, 9.0, "p", "p"));
    }
    assertEquals(untouched.store.entries.keySet(), touched.store.entries.keySet());
    untouched.store.entries.forEach(
        (entry, bytes) -> assertArrayEquals(bytes, touched.store.entries.get(entry)));
  }

  @Test
  void passWinsOverEmitAndAllOfItMustHold() {
    String both =
        PASS.replace("}]", "}, {\"column\": \"x\", \"op\": \"gt\", \"value\": 5}]") + ", " + LABELS;
    Play play = new Play(WINDOWS, FEATURES, both);
    assertEquals(BLANK, play.row(5L, null, 6.0, "u", "p"), "would only update");
    assertNull(play.row(5L, null, 5.0, "u", "p"), "updates");
    assertEquals(2L, play.row(5L, null, 6.0, "u", "t").get("n"));
    assertNull(play.row(5L, null, null, "u", "p"), "NULL meets no comparison");
  }

  @Test
  void aSpecThatGainsOrLosesItReadsTheStateAsItIs() {
    assertArrayEquals(
        Signature.of(layout(ID)), Signature.of(layout(ID + ", " + PASS)), "the same signature");
    Play play = new Play(WINDOWS, FEATURES, ID);
    play.row(5L, "a", 1.0, "u", "t");
    byte[] head = play.store.get(StateStore.HEAD);
    play.change(WINDOWS, FEATURES, ID + ", " + PASS);
    assertEquals(BLANK, play.row(6L, "b", 1.0, "u", "p"));
    assertEquals(true, play.row(5L, "a", 1.0, "u", "t").get("duplicate"));
    assertEquals(head, play.store.get(StateStore.HEAD), "not written again");
    assertEquals(3.0, play.row(7L, "c", 2.0, "v", "t").get("sum"));
    play.change(WINDOWS, FEATURES, ID);
    assertEquals(6.0, play.row(8L, "d", 3.0, "v", "p").get("sum"));
  }
}
