package millrace.kernel.rolling;

import static millrace.kernel.rolling.Play.LABELS;
import static millrace.kernel.rolling.Play.column;
import static millrace.kernel.rolling.Play.feature;
import static millrace.kernel.rolling.Play.window;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HexFormat;
import java.util.Map;
import millrace.kernel.state.StateStore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** State over a change of the spec, and where it is kept. */
class StateTest {
  private static final String W3 = window("w3", 10, 3);
  private static final String W5 = window("w5", 10, 5);
  private static final String DAY = window("day", 320, 2);
  private static final String SUM = feature("sum", "sum", "w3", column("x"));
  private static final String COUNT = feature("count", "count", "w3", "");
  private static final String DISTINCT = feature("distinct", "distinct", "w3", column("u"));

  private static Play played(String windows, String features, String more) {
    Play play = new Play(windows, features, more);
    play.row(1L, "a", 1.0, "u", "t");
    play.row(12L, "b", 2.0, "v", "t");
    return play;
  }

  private static Map<String, Object> next(Play play) {
    return play.row(23L, "c", 4.0, "w", "t");
  }

  @Test
  void anAddedFeatureStartsEmptyAndTheRestIsKept() {
    Play play = played(W3, SUM, "").change(W3, COUNT + ", " + SUM + ", " + DISTINCT, "");
    Map<String, Object> row = next(play);
    assertEquals(7.0, row.get("sum"));
    assertEquals(1L, row.get("count"));
    assertEquals(1L, row.get("distinct"));
  }

  @Test
  void aRemovedFeatureGoesAndAReorderedOneStays() {
    Play play = played(W3, SUM + ", " + COUNT + ", " + DISTINCT, "");
    Map<String, Object> row = next(play.change(W3, DISTINCT + ", " + SUM, ""));
    assertEquals(3L, row.get("distinct"));
    assertEquals(7.0, row.get("sum"));
    play.change(W3, COUNT, "");
    assertEquals(1L, play.row(24L, 1.0).get("count"), "removed and added again, it starts empty");
  }

  @Test
  void anAddedWindowOfTheSameTilesSeesWhatTheRingKeeps() {
    Play play = played(W5, feature("sum", "sum", "w5", column("x")), "");
    play.change(
        W3 + ", " + W5,
        SUM.replace("\"sum\", \"aggregate", "\"less\", \"aggregate")
            + ", "
            + feature("sum", "sum", "w5", column("x")),
        "");
    Map<String, Object> row = play.row(35L, 4.0);
    assertEquals(6.0, row.get("less"));
    assertEquals(7.0, row.get("sum"));
  }

  @Test
  void anAddedRingStartsEmptyAndARemovedOneLeavesNothing() {
    Play play =
        played(W3, SUM, "")
            .change(W3 + ", " + DAY, SUM + ", " + feature("d", "sum", "day", column("x")), "");
    Map<String, Object> row = next(play);
    assertEquals(7.0, row.get("sum"));
    assertEquals(4.0, row.get("d"));
    play.change(DAY, feature("d", "sum", "day", column("x")), "");
    assertEquals(6.0, play.row(24L, 2.0).get("d"));
  }

  @Test
  void anotherFilterIsAnotherLaneAndTheSameInOtherOrderIsNot() {
    String a = "{\"column\": \"u\", \"op\": \"notnull\"}";
    String b = "{\"column\": \"x\", \"op\": \"ge\", \"value\": 0}";
    String both = column("x") + ", \"filter\": [" + a + ", " + b + "]";
    String turned = column("x") + ", \"filter\": [" + b + ", " + a + "]";
    Play play = played(W3, feature("f", "sum", "w3", both), "");
    play.change(
        W3,
        feature("f", "sum", "w3", turned)
            + ", "
            + feature("g", "sum", "w3", column("x") + ", \"filter\": [" + a + "]"),
        "");
    Map<String, Object> row = next(play);
    assertEquals(7.0, row.get("f"));
    assertEquals(4.0, row.get("g"));
  }

  @Test
  void idsAreKeptOverAChange() {
    Play play = played(W3, SUM, "\"id\": \"id\"").change(W3, COUNT + ", " + SUM, "\"id\": \"id\"");
    assertEquals(true, play.row(12L, "b", 2.0, "v", "t").get("duplicate"));
    assertEquals(false, next(play).get("duplicate"));
  }

  @Test
  void idsMoveIntoALongerRingMadeOfWholeBuckets() {
    String before = window("w3", 32, 3);
    String after = window("w3", 32, 3) + ", " + DAY;
    Play play = new Play(before, SUM, "\"id\": \"id\"");
    for (int i = 0; i < 90; i++) {
      play.row((long) i, "id" + i, 1.0, null, "t");
    }
    play.change(after, SUM, "\"id\": \"id\"");
    for (int i = 0; i < 90; i++) {
      assertEquals(true, play.row((long) i, "id" + i, 1.0, null, "t").get("duplicate"), "id" + i);
    }
    assertFalse((Boolean) play.row(90L, "id90", 1.0, null, "t").get("duplicate"));
  }

  @Test
  void idsThatCannotBeSortedAreForgotten() {
    Play play = played(W3, SUM, "\"id\": \"id\"").change(W3 + ", " + DAY, SUM, "\"id\": \"id\"");
    assertEquals(false, play.row(12L, "b", 2.0, "v", "t").get("duplicate"));
    play.change(W3, SUM, "");
    play.row(13L, 1.0);
    assertEquals(1, play.store.entries.size());
  }

  @Test
  void manyTilesAreStoredApartAndComeBackWhenTheyAreFew() {
    String ring = window("big", 10, 400);
    Play play =
        new Play(
            ring,
            feature("sum", "sum", "big", column("x"))
                + ", "
                + feature("last", "last", "big", column("x")),
            "");
    double sum = 0;
    for (int i = 0; i < 400; i++) {
      double x = 1.0 + i / 7.0;
      sum += x;
      assertEquals(sum, play.row(i * 10L, x).get("sum"));
    }
    assertTrue(play.store.entries.containsKey(Entries.ring(10)));
    int head = play.store.get(StateStore.HEAD).length;
    assertTrue(head < 150, "the head stays small: " + head);
    byte[] tiles = play.store.get(Entries.ring(10));
    assertEquals(sum + 1.0, play.row(3991L, 1.0).get("sum"));
    assertEquals(
        tiles, play.store.get(Entries.ring(10)), "a row in the current tile leaves them alone");
    assertEquals(1.0 + 2.0, (Double) play.row(7980L, 2.0).get("sum") - (1.0 + 399 / 7.0), 1e-9);
    assertEquals(1, play.store.entries.size());
  }

  @Test
  void aRingApartIsKeptOverAChangeAndRemovedWithItsLanes() {
    String ring = window("big", 10, 400);
    String sum = feature("sum", "sum", "big", column("x"));
    Play play = new Play(ring, sum, "");
    for (int i = 0; i < 300; i++) {
      play.row(i * 10L, 1.0 + i / 7.0);
    }
    double before = (Double) play.row(2991L, 0.0).get("sum");
    play.change(ring, feature("n", "count", "big", "") + ", " + sum, "");
    assertEquals(before, play.row(2992L, 0.0).get("sum"));
    play.change(W3.replace("10", "20"), COUNT, "");
    play.row(2993L, 0.0);
    assertEquals(1, play.store.entries.size());
  }

  @Test
  void aLateRowAfterAChangeLosesNothing() {
    Play play = played(W3, SUM, "\"id\": \"id\"").change(W3 + ", " + DAY, SUM, "\"id\": \"id\"");
    assertEquals(true, play.row(-1_000L, 1.0).get("late"));
    assertEquals(7.0, next(play).get("sum"));
  }

  @Test
  void labelsBeforeAnyOtherRowAreKept() {
    Play play = new Play(W3, COUNT, LABELS);
    assertNull(play.row(5L, null, null, null, "l"));
    play.change(W3, SUM + ", " + COUNT, LABELS);
    assertEquals(2L, play.row(6L, 1.0).get("count"));
  }

  /** Written by the kernel as it was before specs had {@code pass}. */
  private static final String OLD_HEAD =
      "0101020a030100f986e35c01030100640403010bc84b350824487c7705b976154c0104"
          + "0300010203d402f602060200fe92f396c3b2be8606ae1f1c5c3731c9f40bb7aea5e1c1"
          + "5f224f10487d4b9150eec33116d18ec3bfe909fe4b1b4dcb8ca51bb2d8e30100000922"
          + "010101021e0103015a02011e01ee050375300663073628f5b7b963585b71802c6607c4"
          + "bad018f0af0101f6130375310663073628f5b7b963585b71802c6607c4bad018f00100"
          + "ab0101ee050375300663073628f5b7b963585b71802c6607c4bad018f0";

  private static final String OLD_IDS =
      "004c220f5cc987fa56059b5d61e173a9918c0aa3aca7adceee79fd10f5eedde9707485"
          + "9415ad23b6143a172ba21b013b7ca7c36b37bf";

  @ParameterizedTest
  @ValueSource(
      strings = {
        LABELS,
        LABELS + ", \"pass\": [{\"column\": \"kind\", \"op\": \"eq\", \"value\": \"pass\"}]"
      })
  void stateThatAnOlderKernelWroteIsReadAndWrittenAsItWas(String more) {
    String windows = window("s", 10, 3) + ", " + window("l", 100, 4);
    String features =
        feature("n", "count", "s", "")
            + ", "
            + feature("sum", "sum", "l", column("x"))
            + ", "
            + feature("last", "last", "l", column("u"))
            + ", "
            + feature("users", "distinct", "l", column("u"));
    Play again = new Play(windows, features, "\"id\": \"id\", " + more);
    for (int i = 0; i < 12; i++) {
      again.row(i * 17L, "id" + i, i / 4.0, "u" + i % 5, i % 4 == 3 ? "l" : "t");
    }
    Map<Long, byte[]> entries = again.store.entries;
    assertEquals(OLD_HEAD, HexFormat.of().formatHex(entries.get(0L)));
    assertEquals(OLD_IDS, HexFormat.of().formatHex(entries.get(2L)));
    assertEquals(2, entries.size());

    Play play = new Play(windows, features, "\"id\": \"id\", " + more);
    play.store.put(0, HexFormat.of().parseHex(OLD_HEAD));
    play.store.put(2, HexFormat.of().parseHex(OLD_IDS));
    assertEquals(true, play.row(187L, "id11", 1.0, "u", "t").get("duplicate"));
    Map<String, Object> row = play.row(190L, "id12", 1.0, "u9", "t");
    assertEquals(3L, row.get("n"));
    assertEquals(17.5, row.get("sum"));
    assertEquals("u1", row.get("last"));
    assertEquals(6L, row.get("users"));
    Map<String, Object> early = play.row(131L, "id13", 2.0, "u9", "t");
    assertNull(early.get("n"));
    assertEquals(19.5, early.get("sum"));
    assertEquals("u0", early.get("last"));
  }

  @Test
  void stateOfANewerKernelIsRefused() {
    Play play = played(W3, SUM, "");
    byte[] head = play.store.get(StateStore.HEAD).clone();
    head[0] = 99;
    play.store.put(StateStore.HEAD, head);
    String message = assertThrows(IllegalStateException.class, () -> next(play)).getMessage();
    assertEquals("rolling: state of version 99, this kernel reads version 1", message);
  }
}
