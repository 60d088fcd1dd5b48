package millrace.kernel.rolling;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import millrace.kernel.rolling.Column.Type;
import millrace.kernel.rolling.Layout.FeaturePlan;
import millrace.kernel.rolling.Spec.Aggregate;
import millrace.kernel.rolling.Spec.Feature;
import millrace.kernel.rolling.Spec.Takes;
import millrace.kernel.rolling.Spec.Window;
import millrace.kernel.spec.SpecException;
import millrace.kernel.state.Hash;

/**
 * Make a {@link Layout} of a spec and the input's columns, and refuse what does not fit together.
 */
final class LayoutBuilder {
  private final Spec spec;
  private final Columns columns;
  private final Operands.Builder operands = new Operands.Builder();
  private final List<Predicate> filters = new ArrayList<>();
  private final Map<Long, RingBuilder> rings = new TreeMap<>();

  private LayoutBuilder(Spec spec, Columns columns) {
    this.spec = spec;
    this.columns = columns;
  }

  /** Build the layout of a spec; throw {@link SpecException} naming what does not fit. */
  static Layout build(Spec spec, List<Column> columns) {
    return new LayoutBuilder(spec, new Columns(columns)).build();
  }

  private Layout build() {
    int time = columns.position(spec.time(), "spec, time");
    Column timeColumn = columns.get(time);
    if (timeColumn.type() != Type.TIME && !timeColumn.isWhole()) {
      throw new SpecException(
          "spec: time column '"
              + spec.time()
              + "' is "
              + timeColumn.sql()
              + ", not TIMESTAMP(3), TIMESTAMP_LTZ(3) or BIGINT");
    }
    int id = spec.id() == null ? -1 : columns.position(spec.id(), "spec, id");
    if (id >= 0 && columns.get(id).type() != Type.STRING) {
      throw new SpecException(
          "spec: id column '" + spec.id() + "' is " + columns.get(id).sql() + ", not STRING");
    }
    Predicate pass =
        spec.pass().isEmpty() ? null : Predicate.of(spec.pass(), columns, "spec, pass");
    Predicate emit = Predicate.of(spec.emit(), columns, "spec, emit");
    for (Window window : spec.windows().values()) {
      RingBuilder ring = rings.computeIfAbsent(window.tileMs(), RingBuilder::new);
      ring.tiles = Math.max(ring.tiles, window.tiles());
    }
    if (columns.has(spec.name() + "_late") || columns.has(spec.name() + "_duplicate")) {
      throw new SpecException(
          "spec: the input has a column '" + spec.name() + "_late' or '_duplicate' already");
    }
    Output.Type[] outputs = new Output.Type[spec.features().size()];
    for (int i = 0; i < outputs.length; i++) {
      outputs[i] = add(spec.features().get(i), i);
    }
    return new Layout(
        spec,
        time,
        id,
        pass,
        emit,
        filters.toArray(Predicate[]::new),
        operands.build(columns),
        rings.values().stream().map(RingBuilder::build).toArray(Layout.Ring[]::new),
        outputs);
  }

  private Output.Type add(Feature feature, int output) {
    String what = "feature '" + feature.name() + "'";
    if (columns.has(feature.name())) {
      throw new SpecException(what + ": the input has a column of that name already");
    }
    int column = feature.column() == null ? -1 : columns.position(feature.column(), what);
    Type type = column < 0 ? null : columns.get(column).type();
    check(feature, column, what);
    int filter = filter(feature.filter(), what);
    Window window = spec.windows().get(feature.window());
    RingBuilder ring = rings.get(window.tileMs());
    int first;
    int second = -1;
    switch (feature.aggregate()) {
      case MEAN, RATIO -> {
        first = ring.lane(Lanes.Kind.SUM, column, filter, 0);
        second = ring.lane(Lanes.Kind.COUNT, column, filter, 0);
      }
      case SHARE -> {
        List<Spec.Comparison> both = new ArrayList<>(feature.filter());
        both.addAll(feature.condition());
        first = ring.lane(Lanes.Kind.COUNT, -1, filter, 0);
        second = ring.lane(Lanes.Kind.COUNT, -1, filter(both, what), 0);
      }
      default -> first = ring.lane(kind(feature.aggregate(), type), column, filter, feature.k());
    }
    ring.plan(feature, output, window.tiles(), first, second, operands.add(column));
    return switch (feature.aggregate()) {
      case COUNT, DISTINCT -> Output.Type.BIGINT;
      case LAST -> type == Type.STRING ? Output.Type.STRING : Output.Type.DOUBLE;
      default -> Output.Type.DOUBLE;
    };
  }

  private static Lanes.Kind kind(Aggregate aggregate, Type type) {
    return switch (aggregate) {
      case COUNT -> Lanes.Kind.COUNT;
      case SUM -> Lanes.Kind.SUM;
      case MIN -> Lanes.Kind.MIN;
      case MAX -> Lanes.Kind.MAX;
      case STD, ZSCORE -> Lanes.Kind.MOMENTS;
      case DISTINCT -> Lanes.Kind.DISTINCT;
      case LAST -> type == Type.STRING ? Lanes.Kind.LAST_TEXT : Lanes.Kind.LAST_NUMBER;
      case SECONDS_SINCE -> Lanes.Kind.TIME;
      case MEAN, RATIO, SHARE -> throw new IllegalStateException(aggregate + " needs two lanes");
    };
  }

  private void check(Feature feature, int column, String what) {
    if (column < 0) {
      return;
    }
    Type type = columns.get(column).type();
    Takes takes = feature.aggregate().takes;
    boolean number = type == Type.NUMBER;
    boolean fits =
        takes == Takes.ANYTHING_OR_NOTHING
            || number
            || (takes == Takes.NUMBER_OR_STRING && type == Type.STRING);
    if (!fits) {
      throw new SpecException(
          what
              + ": "
              + feature.aggregate().name().toLowerCase(Locale.ROOT)
              + " takes a number"
              + (takes == Takes.NUMBER_OR_STRING ? " or string" : "")
              + ", column '"
              + feature.column()
              + "' is "
              + columns.get(column).sql());
    }
  }

  private int filter(List<Spec.Comparison> comparisons, String what) {
    Predicate predicate = Predicate.of(comparisons, columns, what);
    for (int i = 0; i < filters.size(); i++) {
      if (filters.get(i).identity.equals(predicate.identity)) {
        return i;
      }
    }
    filters.add(predicate);
    return filters.size() - 1;
  }

  /** Collect the lanes and features of one ring. */
  private final class RingBuilder {
    final long tileMs;
    int tiles;
    private final List<Lanes.Kind> kinds = new ArrayList<>();
    private final List<String> identities = new ArrayList<>();
    private final List<Integer> ids = new ArrayList<>();
    private final List<Integer> laneFilters = new ArrayList<>();
    private final List<Integer> laneOperands = new ArrayList<>();
    private final List<Integer> ks = new ArrayList<>();
    private final Map<Integer, TreeSet<Integer>> windows = new TreeMap<>();
    private final List<Feature> features = new ArrayList<>();
    private final List<int[]> plans = new ArrayList<>();

    RingBuilder(long tileMs) {
      this.tileMs = tileMs;
    }

    /** The lane of that kind, column (-1: none), filter and k, made if it is not there. */
    int lane(Lanes.Kind kind, int column, int filter, int k) {
      int size = kind == Lanes.Kind.DISTINCT ? k : 0;
      String identity =
          kind
              + "\n"
              + (column < 0 ? "" : columns.get(column).name() + "\n" + columns.get(column).type())
              + "\n"
              + size
              + "\n"
              + filters.get(filter).identity;
      int id = Hash.high(Hash.of(identity.getBytes(StandardCharsets.UTF_8)));
      for (int i = 0; i < kinds.size(); i++) {
        if (identities.get(i).equals(identity)) {
          return i;
        }
        if (kinds.get(i) == kind && ids.get(i) == id) {
          throw new SpecException(
              "features: two lanes of one tile length have the same id, change a filter of one: "
                  + identity.replace('\n', ' '));
        }
      }
      kinds.add(kind);
      identities.add(identity);
      ids.add(id);
      laneFilters.add(filter);
      laneOperands.add(operands.add(column));
      ks.add(size);
      return kinds.size() - 1;
    }

    void plan(Feature feature, int output, int tiles, int first, int second, int operand) {
      TreeSet<Integer> lanes = windows.computeIfAbsent(tiles, n -> new TreeSet<>());
      lanes.add(first);
      if (second >= 0) {
        lanes.add(second);
      }
      features.add(feature);
      plans.add(new int[] {output, tiles, first, second, operand});
    }

    Layout.Ring build() {
      List<Integer> sizes = new ArrayList<>(windows.keySet());
      List<FeaturePlan> built = new ArrayList<>();
      for (int i = 0; i < features.size(); i++) {
        int[] p = plans.get(i);
        Feature feature = features.get(i);
        built.add(
            new FeaturePlan(
                feature.aggregate(), p[0], sizes.indexOf(p[1]), p[2], p[3], p[4], feature.k()));
      }
      Layout.Window[] used =
          sizes.stream()
              .map(n -> new Layout.Window(n, ints(windows.get(n))))
              .toArray(Layout.Window[]::new);
      return new Layout.Ring(
          tileMs,
          tiles,
          new Lanes(kinds, ints(ids)),
          ints(laneFilters),
          ints(laneOperands),
          ints(ks),
          used,
          built);
    }
  }

  private static int[] ints(java.util.Collection<Integer> values) {
    int[] array = new int[values.size()];
    int i = 0;
    for (int value : values) {
      array[i++] = value;
    }
    return array;
  }
}
