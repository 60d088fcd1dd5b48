package millrace.kernel.distinct;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.math.BigDecimal;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.apache.flink.table.data.StringData;
import org.junit.jupiter.api.Test;

/** {@code distinct_count} counts as a set of texts does, of whatever size. */
class DistinctCountTest {
  private final DistinctCount function = new DistinctCount();

  private void add(Hashes seen, String text) {
    function.accumulate(seen, text == null ? null : StringData.fromString(text));
  }

  @Test
  void itCountsAsASetDoes() {
    Random random = new Random(5);
    for (int most : new int[] {1, 4, 15, 16, 17, 33, 1_000, 100_000}) {
      Hashes seen = function.createAccumulator();
      Set<String> expected = new HashSet<>();
      for (int i = 0; i < 3 * most; i++) {
        String text = "é" + random.nextInt(most);
        add(seen, text);
        expected.add(text);
        if (i % 1_000 < 50) {
          assertEquals(expected.size(), function.getValue(seen));
        }
      }
      assertEquals(expected.size(), function.getValue(seen));
    }
  }

  @Test
  void aSumTakesEachIdOnceAndNoNull() {
    DistinctSum function = new DistinctSum();
    DistinctSum.Sum sum = function.createAccumulator();
    assertNull(function.getValue(sum));
    String[][] rows = {{"a", "1.250000"}, {"b", null}, {"a", "9.000000"}, {"b", "0.100000"}};
    for (String[] row : rows) {
      BigDecimal amount = row[1] == null ? null : new BigDecimal(row[1]);
      function.accumulate(sum, StringData.fromString(row[0]), amount);
    }
    assertEquals(new BigDecimal("1.350000"), function.getValue(sum));
  }

  @Test
  void nullIsNoTextAndZeroIsAHash() {
    Hashes seen = function.createAccumulator();
    add(seen, null);
    assertEquals(0, function.getValue(seen));
    seen.add(0);
    seen.add(0);
    assertEquals(1, function.getValue(seen));
  }
}
