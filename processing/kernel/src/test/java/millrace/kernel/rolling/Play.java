package millrace.kernel.rolling;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One key, played row by row, for tests: columns ts, id, x, u, kind; time in ms. Values of features
 * are boxed, by name.
 */
final class Play {
  static final String[] COLUMNS = {
    "ts TIMESTAMP",
    "id STRING",
    "x DOUBLE",
    "u STRING",
    "kind STRING",
    "flag BOOLEAN",
    "whole BIGINT"
  };
  static final String LABELS =
      "\"emit\": [{\"column\": \"kind\", \"op\": \"eq\", \"value\": \"t\"}]";

  final HeapStore store = new HeapStore();
  private Layout layout;
  private Engine engine;

  /**
   * {@code windows} and {@code features} are what stands between the braces; {@code more} are
   * further keys of the spec, or empty.
   */
  Play(String windows, String features, String more) {
    change(windows, features, more);
  }

  /** Goes on with another spec over the same state. */
  Play change(String windows, String features, String more) {
    layout = layout(windows, features, more);
    engine = new Engine(layout);
    return this;
  }

  static Layout layout(String windows, String features, String more) {
    String spec =
        "{\"version\": 1, \"name\": \"s\", \"time\": \"ts\", \"windows\": {"
            + windows
            + "}, \"features\": ["
            + features
            + "]"
            + (more.isEmpty() ? "" : ", " + more)
            + "}";
    return LayoutBuilder.build(SpecParser.parse(spec), HeapRow.columns(COLUMNS));
  }

  /** A window of {@code tiles} tiles. */
  static String window(String name, long tileMs, int tiles) {
    return "\"" + name + "\": {\"tile_ms\": " + tileMs + ", \"tiles\": " + tiles + "}";
  }

  /** A feature named after what it is: {@code more} are further keys, or empty. */
  static String feature(String name, String aggregate, String window, String more) {
    return "{\"name\": \""
        + name
        + "\", \"aggregate\": \""
        + aggregate
        + "\", \"window\": \""
        + window
        + "\""
        + (more.isEmpty() ? "" : ", " + more)
        + "}";
  }

  static String column(String name) {
    return "\"column\": \"" + name + "\"";
  }

  Map<String, Object> row(Long ts, Double x) {
    return row(ts, null, x, null, "t");
  }

  /** The features of a row, with "late" and "duplicate"; null if it is not emitted. */
  Map<String, Object> row(Long ts, String id, Double x, String u, String kind) {
    boolean emitted = engine.process(new HeapRow(ts, id, x, u, kind, null, null), store);
    return emitted ? result() : null;
  }

  private Map<String, Object> result() {
    Output out = engine.output();
    Map<String, Object> result = new LinkedHashMap<>();
    for (int i = 0; i < out.types.length; i++) {
      Object value =
          switch (out.types[i]) {
            case BIGINT -> (Object) out.wholes[i];
            case DOUBLE -> (Object) out.numbers[i];
            case STRING ->
                out.texts[i] == null ? null : new String(out.texts[i], StandardCharsets.UTF_8);
          };
      result.put(layout.spec.features().get(i).name(), out.isNull[i] ? null : value);
    }
    result.put("late", out.late);
    result.put("duplicate", out.duplicate);
    return result;
  }
}
