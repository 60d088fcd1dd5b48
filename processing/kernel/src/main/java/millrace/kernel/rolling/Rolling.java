package millrace.kernel.rolling;

import java.util.ArrayList;
import java.util.List;
import millrace.kernel.function.SpecFunction;
import millrace.kernel.state.MapStore;
import org.apache.flink.metrics.Counter;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.types.DataType;

/**
 * The process table function {@code rolling}: adds the features that a spec declares to each row of
 * a keyed table as it passes. docs/rolling.md says what they mean. Thin: types and state here,
 * everything else in {@link Engine}.
 *
 * <p>Entry 0 of a key's state is the head, the others are seldom touched.
 */
public final class Rolling extends SpecFunction {
  private static final long serialVersionUID = 1L;

  private transient Engine engine;
  private transient InputRow row;
  private transient FeatureRow features;
  private transient MapStore store;
  private transient Counter late;
  private transient Counter duplicate;

  /** For {@code create function}. */
  public Rolling() {
    this(null, null, null);
  }

  /** For the call that {@code spec}, {@code input} and {@code partition} describe. */
  Rolling(String spec, DataType input, int[] partition) {
    super(spec, input, partition);
  }

  @Override
  protected String sqlName() {
    return "rolling";
  }

  @Override
  protected SpecFunction of(String spec, DataType input, int[] partition) {
    return new Rolling(spec, input, partition);
  }

  @Override
  public void open(FunctionContext context) {
    Layout layout = LayoutBuilder.build(SpecParser.parse(spec), InputRow.columns(input));
    engine = new Engine(layout);
    row = new InputRow(input);
    features = new FeatureRow(engine.output());
    store = store();
    late = context.getMetricGroup().counter("late");
    duplicate = context.getMetricGroup().counter("duplicate");
  }

  /** Called by Flink for each row. The spec is known from {@link #specialize} already. */
  public void eval(MapView<Long, byte[]> state, RowData in, StringData unused) {
    store.set(state, in);
    row.set(in);
    boolean emits = engine.process(row, store);
    if (engine.output().late) {
      late.inc();
    } else if (engine.output().duplicate) {
      duplicate.inc();
    }
    if (emits) {
      // The collector wraps this one object in rows that it reuses as well, so reusing it changes
      // nothing downstream.
      collect(features);
    }
  }

  @Override
  protected List<DataTypes.Field> output(String spec, DataType input) {
    Layout layout = LayoutBuilder.build(SpecParser.parse(spec), InputRow.columns(input));
    List<DataTypes.Field> fields = new ArrayList<>();
    for (int i = 0; i < layout.outputs.length; i++) {
      DataType type =
          switch (layout.outputs[i]) {
            case BIGINT -> DataTypes.BIGINT();
            case DOUBLE -> DataTypes.DOUBLE();
            case STRING -> DataTypes.STRING();
          };
      fields.add(DataTypes.FIELD(layout.spec.features().get(i).name(), type));
    }
    fields.add(DataTypes.FIELD(layout.spec.name() + "_late", DataTypes.BOOLEAN().notNull()));
    fields.add(DataTypes.FIELD(layout.spec.name() + "_duplicate", DataTypes.BOOLEAN().notNull()));
    return fields;
  }

  @Override
  protected long keepIdleMs(String spec) {
    return SpecParser.parse(spec).keepIdleMs();
  }
}
