package millrace.kernel.rolling;

import static millrace.kernel.rolling.Play.LABELS;
import static millrace.kernel.rolling.Play.column;
import static millrace.kernel.rolling.Play.feature;
import static millrace.kernel.rolling.Play.window;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.Map;
import millrace.kernel.state.StateStore;
import org.junit.jupiter.api.Test;

/** Rows out of order, late, twice, and those that only update. */
class OrderTest {
  private static final String WINDOWS = window("s", 10, 2) + ", " + window("l", 100, 3);
  private static final String COUNTS =
      feature("short", "count", "s", "") + ", " + feature("long", "count", "l", "");

  @Test
  void aRowSeesNothingOfItsFuture() {
    Play play = new Play(WINDOWS, COUNTS, "");
    play.row(205L, 1.0);
    Map<String, Object> early = play.row(195L, 1.0);
    assertEquals(1L, early.get("short"));
    assertEquals(1L, early.get("long"));
    assertEquals(3L, play.row(206L, 1.0).get("short"));
    assertEquals(4L, play.row(207L, 1.0).get("long"));
  }

  @Test
  void belowAShortRingsFloorOnlyItsFeaturesAreUnknown() {
    Play play = new Play(WINDOWS, COUNTS, "");
    play.row(250L, 1.0);
    Map<String, Object> old = play.row(120L, 1.0);
    assertNull(old.get("short"));
    assertEquals(1L, old.get("long"));
    assertEquals(false, old.get("late"));
  }

  @Test
  void aLateRowIsMarkedAndChangesNothing() {
    Play play = new Play(WINDOWS, COUNTS, "");
    play.row(500L, 1.0);
    byte[] before = play.store.get(StateStore.HEAD);
    Map<String, Object> late = play.row(299L, 1.0);
    assertEquals(true, late.get("late"));
    assertNull(late.get("long"));
    assertEquals(true, play.row(null, 1.0).get("late"));
    assertEquals(before, play.store.get(StateStore.HEAD));
    assertEquals(false, play.row(300L, 1.0).get("late"), "the oldest tile kept");
  }

  @Test
  void aLabelFromTheBeginningOfTimeMakesNothingLate() {
    Play play = new Play(WINDOWS, COUNTS, Play.LABELS);
    play.row(Long.MIN_VALUE + 5, null, 1.0, null, "label");
    assertEquals(false, play.row(0L, 1.0).get("late"));
    assertEquals(2L, play.row(5L, 1.0).get("short"));
  }

  @Test
  void aDuplicateIsMarkedAndChangesNothing() {
    Play play = new Play(WINDOWS, COUNTS, "\"id\": \"id\"");
    play.row(5L, "a", 1.0, null, "t");
    Map<String, Object> again = play.row(5L, "a", 1.0, null, "t");
    assertEquals(true, again.get("duplicate"));
    assertNull(again.get("long"));
    assertEquals(2L, play.row(6L, "a", 1.0, null, "t").get("long"), "same id, other time");
    assertEquals(3L, play.row(6L, "b", 1.0, null, "t").get("long"));
    assertEquals(4L, play.row(6L, null, 1.0, null, "t").get("long"), "no id, no duplicate");
    assertEquals(5L, play.row(6L, null, 1.0, null, "t").get("long"));
  }

  @Test
  void manyIdsAreRememberedThroughTheirEntries() {
    Play play = new Play(WINDOWS, COUNTS, "\"id\": \"id\"");
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < 300; i++) {
        Map<String, Object> row = play.row((long) i, "id" + i, 1.0, null, "t");
        assertEquals(round == 1, row.get("duplicate"), "row " + i + " in round " + round);
      }
    }
    play.row(299L + 100_000, "z", 1.0, null, "t");
    assertEquals(1, play.store.entries.size(), "entries go with their tiles");
  }

  @Test
  void aFullBucketForgetsTheIdThatCameFirst() {
    Play play = new Play(window("l", 3200, 1), feature("n", "count", "l", ""), "\"id\": \"id\"");
    for (int i = 0; i <= IdEntries.MOST; i++) {
      play.row(7L, "id" + i, 1.0, null, "t");
    }
    assertEquals(true, play.row(7L, "id1", 1.0, null, "t").get("duplicate"));
    assertEquals(false, play.row(7L, "id0", 1.0, null, "t").get("duplicate"));
    assertEquals(
        false,
        play.row(7L, "id1", 1.0, null, "t").get("duplicate"),
        "id0 came again and took its place");
  }

  @Test
  void updateOnlyRowsEmitNothingAndCount() {
    String labels =
        feature(
            "n",
            "count",
            "l",
            "\"filter\": [{\"column\": \"kind\", \"op\": \"eq\", \"value\": \"l\"}]");
    Play play = new Play(WINDOWS, labels, LABELS);
    assertNull(play.row(5L, null, null, null, "l"));
    assertEquals(1L, play.row(6L, 1.0).get("n"));
  }

  @Test
  void updateOnlyRowsMayRunAheadByTheSpan() {
    String all = feature("short", "count", "s", "") + ", " + feature("long", "count", "l", "");
    Play play = new Play(WINDOWS, all, LABELS);
    play.row(105L, 1.0);
    play.row(399L, null, null, null, "l");
    Map<String, Object> row = play.row(106L, 1.0);
    assertFalse((Boolean) row.get("late"));
    assertEquals(2L, row.get("short"), "300 ms ahead push out nothing of the short ring either");
    assertEquals(2L, row.get("long"));
    play.row(700L, null, null, null, "l");
    assertEquals(true, play.row(107L, 1.0).get("late"), "further ahead than that");
  }

  @Test
  void labelsReadAheadAreSeenWhenTheirTimeComes() {
    Play play = new Play(WINDOWS, COUNTS, LABELS);
    play.row(5L, 1.0);
    play.row(15L, null, null, null, "l");
    assertEquals(2L, play.row(6L, 1.0).get("short"));
    assertEquals(4L, play.row(16L, 1.0).get("short"));
  }

  @Test
  void lastOfALongGapIsGone() {
    Play play = new Play(WINDOWS, feature("f", "last", "l", column("x")), "");
    play.row(0L, 1.0);
    assertEquals(1.0, play.row(299L, 2.0).get("f"));
    assertNull(play.row(10_000_000L, 3.0).get("f"));
  }
}
