package millrace.kernel.sessionize;

import java.util.List;
import millrace.kernel.spec.SpecException;
import millrace.kernel.spec.SpecJson;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/**
 * Declare how clicks become sessions.
 *
 * @param columns the names of the input's columns: id, time, item, action
 * @param gapMs the longest time between two clicks of a session
 * @param horizonMs how much older than the visitor's newest click one may be
 * @param items how many clicks of a session are kept at most
 * @param textBytes UTF-8 of their items and actions, at most
 * @param keepIdleMs wall time after which a visitor who does not click leaves the state
 */
record Spec(
    List<String> columns, long gapMs, long horizonMs, int items, int textBytes, long keepIdleMs) {
  private static final int MOST_ITEMS = 10_000;
  private static final int MOST_TEXT = 1 << 20;

  /** Read the JSON of a spec. Throws {@link SpecException} naming what is wrong. */
  static Spec parse(String json) {
    JsonNode root = SpecJson.parse(json);
    String what = "spec";
    SpecJson.keys(
        root,
        what,
        "version",
        "id",
        "time",
        "item",
        "action",
        "gap_ms",
        "horizon_ms",
        "items",
        "text_bytes",
        "keep_idle_ms");
    SpecJson.version(root);
    long gap = within(root, "gap_ms", 1, 1L << 50);
    long horizon = within(root, "horizon_ms", 1, 1L << 50);
    return new Spec(
        List.of(
            SpecJson.text(root, what, "id", true),
            SpecJson.text(root, what, "time", true),
            SpecJson.text(root, what, "item", true),
            SpecJson.text(root, what, "action", true)),
        gap,
        horizon,
        (int) within(root, "items", 1, MOST_ITEMS),
        (int) within(root, "text_bytes", 1, MOST_TEXT),
        within(root, "keep_idle_ms", gap + horizon, Long.MAX_VALUE));
  }

  private static long within(JsonNode root, String key, long least, long most) {
    long value = SpecJson.whole(root, "spec", key);
    if (value < least || value > most) {
      throw new SpecException("spec: " + key + " is " + least + " to " + most + ", not " + value);
    }
    return value;
  }
}
