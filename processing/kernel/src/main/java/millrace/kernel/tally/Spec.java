package millrace.kernel.tally;

import java.util.Arrays;
import millrace.kernel.spec.SpecException;
import millrace.kernel.spec.SpecJson;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/**
 * Declare the windows.
 *
 * @param windows their lengths in ms, each a divisor of the longest, which is the time that a key
 *     stands for; ids are known within the shortest
 * @param gapMs the longest time between two events of a session
 * @param keepIdleMs wall time after which a key without events leaves the state
 */
record Spec(long[] windows, long gapMs, long keepIdleMs) {

  /** Read the JSON of a spec. Throws {@link SpecException} naming what is wrong. */
  static Spec parse(String json) {
    JsonNode root = SpecJson.parse(json);
    SpecJson.keys(root, "spec", "version", "windows", "gap_ms", "keep_idle_ms");
    SpecJson.version(root);
    JsonNode listed = root.get("windows");
    if (listed == null || !listed.isArray() || listed.isEmpty()) {
      throw new SpecException("spec: windows is a list of lengths in ms");
    }
    long[] windows = new long[listed.size()];
    for (int i = 0; i < windows.length; i++) {
      windows[i] = listed.get(i).asLong();
    }
    Spec spec =
        new Spec(
            windows,
            SpecJson.whole(root, "spec", "gap_ms"),
            SpecJson.whole(root, "spec", "keep_idle_ms"));
    long longest = spec.longest();
    for (long window : windows) {
      if (window < 1 || longest % window != 0 || longest > Integer.MAX_VALUE) {
        throw new SpecException("spec: windows must divide the longest, unlike " + window);
      }
    }
    if (spec.gapMs < 1 || spec.keepIdleMs < 1) {
      throw new SpecException("spec: gap_ms and keep_idle_ms are 1 and more");
    }
    return spec;
  }

  long longest() {
    return Arrays.stream(windows).max().orElseThrow();
  }

  long shortest() {
    return Arrays.stream(windows).min().orElseThrow();
  }
}
