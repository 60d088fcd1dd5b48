package millrace.kernel.rolling;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import millrace.kernel.rolling.Spec.Aggregate;
import millrace.kernel.rolling.Spec.Comparison;
import millrace.kernel.rolling.Spec.Feature;
import millrace.kernel.rolling.Spec.Op;
import millrace.kernel.rolling.Spec.Takes;
import millrace.kernel.rolling.Spec.Window;
import millrace.kernel.spec.SpecException;
import millrace.kernel.spec.SpecJson;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/** Read the JSON of a spec, and refuse what is wrong whatever the input's columns are. */
final class SpecParser {
  private SpecParser() {}

  /** Return the spec in {@code json}. Throw {@link SpecException} naming what is wrong. */
  static Spec parse(String json) {
    JsonNode root = SpecJson.parse(json);
    String what = "spec";
    SpecJson.keys(
        root,
        what,
        "version",
        "name",
        "time",
        "id",
        "pass",
        "emit",
        "keep_idle_ms",
        "windows",
        "features");
    SpecJson.version(root);
    List<Comparison> pass = comparisons(root, "spec, pass", "pass");
    if (root.has("pass") && pass.isEmpty()) {
      throw new SpecException("spec, pass: pass is a list with at least one comparison");
    }
    Map<String, Window> windows = windows(root);
    JsonNode list = root.get("features");
    if (list == null || !list.isArray() || list.isEmpty()) {
      throw new SpecException("spec: features is a list with at least one feature");
    }
    List<Feature> features = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (JsonNode node : list) {
      Feature feature = feature(node, windows);
      if (!names.add(feature.name())) {
        throw new SpecException("feature '" + feature.name() + "' is declared twice");
      }
      features.add(feature);
    }
    return new Spec(
        SpecJson.text(root, what, "name", true),
        SpecJson.text(root, what, "time", true),
        SpecJson.text(root, what, "id", false),
        pass,
        comparisons(root, "spec, emit", "emit"),
        windows,
        features,
        keepIdle(root, windows));
  }

  private static long keepIdle(JsonNode root, Map<String, Window> windows) {
    Window longest =
        windows.values().stream().max(Comparator.comparingLong(Window::span)).orElseThrow();
    if (!root.has("keep_idle_ms")) {
      return Math.max(Spec.LEAST_KEPT_MS, times(Spec.SPANS_KEPT, longest.span()));
    }
    long given = SpecJson.whole(root, "spec", "keep_idle_ms");
    long least = times(Spec.LEAST_SPANS_KEPT, longest.span());
    if (given < least) {
      throw new SpecException(
          ("spec: keep_idle_ms is at least %d, twice the span of window '%s', not %d")
              .formatted(least, longest.name(), given));
    }
    return given;
  }

  private static long times(int factor, long span) {
    return span > Long.MAX_VALUE / factor ? Long.MAX_VALUE : factor * span;
  }

  private static Map<String, Window> windows(JsonNode root) {
    JsonNode node = root.get("windows");
    if (node == null || !node.isObject()) {
      throw new SpecException("spec: windows is an object of windows by name");
    }
    Map<String, Window> windows = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : node.properties()) {
      String what = "window '" + entry.getKey() + "'";
      SpecJson.keys(entry.getValue(), what, "tile_ms", "tiles");
      long tileMs = SpecJson.whole(entry.getValue(), what, "tile_ms");
      long tiles = SpecJson.whole(entry.getValue(), what, "tiles");
      if (tileMs < 1 || tiles < 1 || tiles > Integer.MAX_VALUE) {
        throw new SpecException(what + ": tile_ms and tiles are at least 1");
      }
      if (tileMs > Long.MAX_VALUE / tiles) {
        throw new SpecException(what + ": tile_ms times tiles is at most 2^63 - 1");
      }
      windows.put(entry.getKey(), new Window(entry.getKey(), tileMs, (int) tiles));
    }
    return windows;
  }

  private static Feature feature(JsonNode node, Map<String, Window> windows) {
    String name = SpecJson.text(node, "feature", "name", true);
    String what = "feature '" + name + "'";
    SpecJson.keys(node, what, "name", "aggregate", "window", "column", "filter", "condition", "k");
    Aggregate aggregate =
        constant(
            Aggregate.values(), SpecJson.text(node, what, "aggregate", true), what, "aggregate");
    String window = SpecJson.text(node, what, "window", true);
    if (!windows.containsKey(window)) {
      throw new SpecException(
          what + ": unknown window '" + window + "', know " + String.join(", ", windows.keySet()));
    }
    String column = SpecJson.text(node, what, "column", false);
    String lower = aggregate.name().toLowerCase(Locale.ROOT);
    if (column == null
        && (aggregate.takes == Takes.NUMBER || aggregate.takes == Takes.NUMBER_OR_STRING)) {
      throw new SpecException(what + ": " + lower + " needs a column");
    }
    if (column != null && aggregate.takes == Takes.NOTHING) {
      throw new SpecException(what + ": " + lower + " takes no column");
    }
    List<Comparison> condition = comparisons(node, what, "condition");
    if (aggregate != Aggregate.SHARE && node.has("condition")) {
      throw new SpecException(what + ": only share takes a condition");
    }
    if (aggregate != Aggregate.DISTINCT && node.has("k")) {
      throw new SpecException(what + ": only distinct takes k");
    }
    long k = node.has("k") ? SpecJson.whole(node, what, "k") : Spec.DEFAULT_K;
    if (k < Spec.MIN_K || k > Spec.MAX_K) {
      throw new SpecException(what + ": k is " + Spec.MIN_K + " to " + Spec.MAX_K + ", not " + k);
    }
    return new Feature(
        name, aggregate, window, column, comparisons(node, what, "filter"), condition, (int) k);
  }

  private static List<Comparison> comparisons(JsonNode parent, String what, String key) {
    JsonNode list = parent.get(key);
    List<Comparison> comparisons = new ArrayList<>();
    if (list == null) {
      return comparisons;
    }
    if (!list.isArray()) {
      throw new SpecException(what + ": " + key + " is a list of comparisons");
    }
    for (JsonNode node : list) {
      SpecJson.keys(node, what + ", " + key, "column", "op", "value");
      String column = SpecJson.text(node, what + ", " + key, "column", true);
      String where = what + ", comparison on '" + column + "'";
      Op op = constant(Op.values(), SpecJson.text(node, where, "op", true), where, "op");
      comparisons.add(new Comparison(column, op, value(node, op, where)));
    }
    return comparisons;
  }

  private static Object value(JsonNode node, Op op, String where) {
    JsonNode value = node.get("value");
    String lower = op.name().toLowerCase(Locale.ROOT);
    if (!op.hasValue()) {
      if (value != null) {
        throw new SpecException(where + ": " + lower + " takes no value");
      }
      return null;
    }
    if (value == null) {
      throw new SpecException(where + ": " + lower + " needs a value");
    }
    if (op != Op.IN) {
      return scalar(value, where);
    }
    if (!value.isArray() || value.isEmpty()) {
      throw new SpecException(where + ": in needs a list of values");
    }
    List<Object> values = new ArrayList<>();
    for (Iterator<JsonNode> it = value.elements(); it.hasNext(); ) {
      values.add(scalar(it.next(), where));
    }
    return values;
  }

  private static Object scalar(JsonNode value, String where) {
    if (value.isTextual()) {
      return value.textValue();
    } else if (value.isNumber()) {
      return value.doubleValue();
    } else if (value.isBoolean()) {
      return value.booleanValue();
    }
    throw new SpecException(where + ": value is a string, number or boolean, not " + value);
  }

  private static <E extends Enum<E>> E constant(E[] all, String name, String what, String kind) {
    for (E one : all) {
      if (one.name().toLowerCase(Locale.ROOT).equals(name)) {
        return one;
      }
    }
    String known =
        Arrays.stream(all)
            .map(e -> e.name().toLowerCase(Locale.ROOT))
            .collect(Collectors.joining(", "));
    throw new SpecException(what + ": unknown " + kind + " '" + name + "', know " + known);
  }
}
