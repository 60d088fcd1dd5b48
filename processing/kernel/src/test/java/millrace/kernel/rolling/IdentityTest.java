package millrace.kernel.rolling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.Map;
import millrace.kernel.spec.SpecException;
import org.junit.jupiter.api.Test;

/** How a lane is found again in state that was written under another spec. */
class IdentityTest {
  private static final String WINDOW = Play.window("w", 1_000, 24);

  private static String filter(String value) {
    return "\"filter\": [{\"column\": \"kind\", \"op\": \"eq\", \"value\": \"" + value + "\"}]";
  }

  private static Layout count(String... values) {
    StringBuilder features = new StringBuilder();
    for (int i = 0; i < values.length; i++) {
      features.append(i == 0 ? "" : ", ");
      features.append(Play.feature("n" + i, "count", "w", filter(values[i])));
    }
    return Play.layout(WINDOW, features.toString(), "");
  }

  @Test
  void idsAreWhatStoredStateSays() {
    Layout layout =
        Play.layout(
            WINDOW,
            Play.feature("n", "count", "w", "")
                + ", "
                + Play.feature("s", "sum", "w", Play.column("x"))
                + ", "
                + Play.feature("d", "distinct", "w", Play.column("u") + ", " + filter("t")),
            "");
    assertArrayEquals(new int[] {1558415097, 894158859, -49822840}, layout.rings[0].lanes.ids);
  }

  @Test
  void twoLanesOfOneIdAreRefused() {
    Map<Integer, String> seen = new HashMap<>();
    for (int i = 0; ; i++) {
      String value = "v" + i;
      String other = seen.put(count(value).rings[0].lanes.ids[0], value);
      if (other != null) {
        String message = assertThrows(SpecException.class, () -> count(other, value)).getMessage();
        assertTrue(message.contains("same id") && message.contains(value), message);
        return;
      }
    }
  }
}
