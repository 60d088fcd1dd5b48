package millrace.kernel.rolling;

import static millrace.kernel.rolling.Play.column;
import static millrace.kernel.rolling.Play.feature;
import static millrace.kernel.rolling.Play.window;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.Map;
import org.junit.jupiter.api.Test;

/** Each aggregate, by hand, over three tiles of ten milliseconds. */
class AggregatesTest {
  private static final String WINDOW = window("w", 10, 3);
  private static final String X = column("x");

  private static Play play(String aggregate, String more) {
    return new Play(WINDOW, feature("f", aggregate, "w", more), "");
  }

  private static Object last(Play play, Object... timesAndValues) {
    Map<String, Object> result = null;
    for (int i = 0; i < timesAndValues.length; i += 2) {
      result = play.row(((Number) timesAndValues[i]).longValue(), (Double) timesAndValues[i + 1]);
    }
    return result.get("f");
  }

  @Test
  void countsRowsOrFiniteValues() {
    assertEquals(3L, last(play("count", ""), 0, null, 5, 1.0, 25, Double.NaN));
    assertEquals(1L, last(play("count", X), 0, null, 5, 1.0, 25, Double.NaN));
    assertEquals(0L, last(play("count", X), 0, null));
  }

  @Test
  void countsTextThatIsNotNull() {
    Play play = play("count", column("u"));
    play.row(0L, null, null, "", "t");
    assertEquals(1L, play.row(1L, null, null, null, "t").get("f"));
  }

  @Test
  void sumsInTheOrderOfTilesAndArrival() {
    assertEquals(0.1 + 0.2 + 0.3, last(play("sum", X), 0, 0.1, 1, 0.2, 11, 0.3));
    assertEquals(
        (0.0 + 0.3) + (0.1 + 0.2), last(play("sum", X), 10, 0.1, 11, 0.2, 5, 0.3, 12, null));
    assertEquals(0.0, last(play("sum", X), 0, null));
  }

  @Test
  void aSumThatOverflowsIsNull() {
    assertNull(last(play("sum", X), 0, 1e308, 1, 1e308));
  }

  @Test
  void valuesThatAreNotFiniteDoNotEnter() {
    Play play = play("sum", X);
    assertEquals(1.5, last(play, 0, 1.5, 1, Double.POSITIVE_INFINITY, 2, Double.NaN));
  }

  @Test
  void meansAndRatios() {
    assertEquals(2.0, last(play("mean", X), 0, 1.0, 12, 3.0, 13, null));
    assertNull(last(play("mean", X), 0, null));
    assertEquals(1.5, last(play("ratio", X), 0, 1.0, 12, 3.0));
    assertNull(last(play("ratio", X), 0, 1.0, 12, null));
    assertNull(last(play("ratio", X), 0, 1.0, 12, -1.0), "the mean is 0");
  }

  @Test
  void leastAndMost() {
    assertEquals(-2.0, last(play("min", X), 0, 4.0, 12, -2.0, 13, 1.0));
    assertEquals(4.0, last(play("max", X), 0, 4.0, 12, -2.0, 13, 1.0));
    assertNull(last(play("min", X), 0, null));
    assertEquals(
        Double.doubleToRawLongBits(0.0),
        Double.doubleToRawLongBits((Double) last(play("max", X), 0, -0.0)),
        "-0.0 is read as 0.0");
  }

  @Test
  void spreadWithinATileAndAcrossTiles() {
    assertNull(last(play("std", X), 0, 4.0));
    assertEquals(Math.sqrt(2.0), last(play("std", X), 0, 4.0, 1, 6.0));
    assertEquals(2.0, last(play("std", X), 0, 2.0, 11, 4.0, 22, 6.0));
  }

  @Test
  void standardScores() {
    assertEquals(1.0, last(play("zscore", X), 0, 2.0, 11, 4.0, 22, 6.0));
    assertNull(last(play("zscore", X), 0, 2.0, 1, 2.0), "the deviation is 0");
    assertNull(last(play("zscore", X), 0, 2.0, 1, 3.0, 2, null));
  }

  @Test
  void distinctNumbersAndTexts() {
    assertEquals(2L, last(play("distinct", X), 0, 1.0, 11, 2.0, 12, 1.0, 13, null));
    Play texts = play("distinct", column("u"));
    texts.row(0L, null, null, "a", "t");
    assertEquals(1L, texts.row(11L, null, null, "a", "t").get("f"));
    assertEquals(2L, texts.row(12L, null, null, "b", "t").get("f"));
  }

  @Test
  void lastIsWhatCameBeforeInTime() {
    assertNull(last(play("last", X), 0, 1.0));
    assertEquals(2.0, last(play("last", X), 0, 1.0, 2, 2.0, 1, 3.0, 3, 4.0));
    assertEquals(3.0, last(play("last", X), 0, 2.0, 0, 3.0, 0, 4.0), "at equal time the later one");
    assertEquals(
        1.0,
        last(play("last", X), 5, 1.0, 18, 2.0, 12, 3.0),
        "newer than the row in its tile: the tile before");
  }

  @Test
  void lastTextAndSecondsSince() {
    Play text = play("last", column("u"));
    text.row(0L, null, null, "a", "t");
    assertEquals("a", text.row(11L, null, null, null, "t").get("f"));
    assertEquals("a", text.row(21L, null, null, "b", "t").get("f"));
    assertEquals(0.013, last(play("seconds_since", ""), 5, 1.0, 18, null));
    assertEquals(0.018, last(play("seconds_since", X), 5, 1.0, 18, null, 23, null));
  }

  @Test
  void shares() {
    String some =
        "\"filter\": [{\"column\": \"kind\", \"op\": \"eq\", \"value\": \"t\"}],"
            + " \"condition\": [{\"column\": \"x\", \"op\": \"gt\", \"value\": 2}]";
    Play play = play("share", some);
    assertNull(play.row(0L, null, 3.0, null, "l").get("f"));
    assertEquals(0.0, play.row(1L, null, 1.0, null, "t").get("f"));
    assertEquals(0.5, play.row(12L, null, 3.0, null, "t").get("f"));
  }

  @Test
  void windowsEndWithTheirTiles() {
    Play play = play("count", "");
    play.row(0L, 1.0);
    assertEquals(2L, play.row(29L, 1.0).get("f"));
    assertEquals(2L, play.row(30L, 1.0).get("f"));
    assertEquals(1L, play.row(-1L + 30 * 1000, 1.0).get("f"));
  }

  @Test
  void tilesOfNegativeTimesAreFloored() {
    Play play = play("count", "");
    play.row(-30L, 1.0);
    assertEquals(2L, play.row(-1L, 1.0).get("f"));
    assertEquals(2L, play.row(0L, 1.0).get("f"));
  }
}
