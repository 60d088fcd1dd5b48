package millrace.kernel.rolling;

import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import org.apache.flink.metrics.Counter;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.catalog.DataTypeFactory;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.FunctionDefinition;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.table.functions.SpecializedFunction;
import org.apache.flink.table.functions.TableSemantics;
import org.apache.flink.table.functions.UserDefinedFunction;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.inference.ArgumentCount;
import org.apache.flink.table.types.inference.CallContext;
import org.apache.flink.table.types.inference.InputTypeStrategies;
import org.apache.flink.table.types.inference.InputTypeStrategy;
import org.apache.flink.table.types.inference.Signature;
import org.apache.flink.table.types.inference.StateTypeStrategy;
import org.apache.flink.table.types.inference.StaticArgument;
import org.apache.flink.table.types.inference.StaticArgumentTrait;
import org.apache.flink.table.types.inference.TypeInference;

/**
 * The process table function {@code rolling}: adds the features that a spec declares to each row of
 * a keyed table as it passes. docs/rolling.md says what they mean. Thin: types and state here,
 * everything else in {@link Engine}.
 *
 * <p>State is one map per key, read lazily: entry 0 is the head, the others are seldom touched.
 */
public final class Rolling extends ProcessTableFunction<RowData> implements SpecializedFunction {
  private static final long serialVersionUID = 1L;
  private static final String INPUT = "in";

  /** What the call is for; null until Flink specializes the function for it. */
  private final String spec;

  private final DataType input;
  private final int[] partition;

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
    this.spec = spec;
    this.input = input;
    this.partition = partition;
  }

  @Override
  public UserDefinedFunction specialize(SpecializedContext context) {
    CallContext call = context.getCallContext();
    return new Rolling(spec(call), table(call), semantics(call).partitionByColumns());
  }

  @Override
  public void open(FunctionContext context) {
    Layout layout = LayoutBuilder.build(SpecParser.parse(spec), InputRow.columns(input));
    engine = new Engine(layout);
    row = new InputRow(input);
    features = new FeatureRow(engine.output());
    store =
        new MapStore(
            RowKey.over(input, partition),
            new HotHeads(HeapBudget.shared()),
            System::currentTimeMillis,
            layout.spec.keepIdleMs());
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
  public TypeInference getTypeInference(DataTypeFactory factory) {
    LinkedHashMap<String, StateTypeStrategy> state = new LinkedHashMap<>();
    state.put("state", new State());
    return TypeInference.newBuilder()
        .staticArguments(
            StaticArgument.table(
                INPUT,
                RowData.class,
                false,
                EnumSet.of(
                    StaticArgumentTrait.TABLE,
                    StaticArgumentTrait.SET_SEMANTIC_TABLE,
                    StaticArgumentTrait.PASS_COLUMNS_THROUGH)),
            StaticArgument.scalar("spec", DataTypes.STRING().notNull(), false))
        .inputTypeStrategy(new Bridge(input != null))
        .stateTypeStrategies(state)
        .outputTypeStrategy(Rolling::output)
        .build();
  }

  private static Optional<DataType> output(CallContext call) {
    Layout layout;
    try {
      layout = LayoutBuilder.build(parse(call), InputRow.columns(table(call)));
    } catch (SpecException e) {
      throw new ValidationException("rolling: " + e.getMessage(), e);
    }
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
    return Optional.of(DataTypes.ROW(fields).notNull().bridgedTo(RowData.class));
  }

  private static Spec parse(CallContext call) {
    try {
      return SpecParser.parse(spec(call));
    } catch (SpecException e) {
      throw new ValidationException("rolling: " + e.getMessage(), e);
    }
  }

  private static String spec(CallContext call) {
    return call.getArgumentValue(1, String.class)
        .orElseThrow(() -> new ValidationException("rolling: spec is a string literal"));
  }

  private static DataType table(CallContext call) {
    return semantics(call).dataType();
  }

  private static TableSemantics semantics(CallContext call) {
    return call.getTableSemantics(0)
        .orElseThrow(() -> new ValidationException("rolling: 'in' is a table"));
  }

  /** One map, kept as long as the spec of the call says, whatever the job's time-to-live is. */
  private record State() implements StateTypeStrategy {
    @Override
    public Optional<DataType> inferType(CallContext call) {
      return Optional.of(
          MapView.newMapViewDataType(
              DataTypes.BIGINT().notNull().bridgedTo(Long.class),
              DataTypes.BYTES().notNull().bridgedTo(byte[].class)));
    }

    @Override
    public Optional<Duration> getTimeToLive(CallContext call) {
      return Optional.of(Duration.ofMillis(parse(call).keepIdleMs()));
    }
  }

  /**
   * Takes what it is given. When code is generated for the specialized function it asks for Flink's
   * internal objects, so that no row is converted; earlier Flink wants the types back as they were.
   */
  private record Bridge(boolean internal) implements InputTypeStrategy {
    @Override
    public ArgumentCount getArgumentCount() {
      return InputTypeStrategies.WILDCARD.getArgumentCount();
    }

    @Override
    public Optional<List<DataType>> inferInputTypes(CallContext call, boolean throwOnFailure) {
      List<DataType> types = new ArrayList<>(call.getArgumentDataTypes());
      if (internal) {
        types.set(0, types.get(0).bridgedTo(RowData.class));
        types.set(1, types.get(1).bridgedTo(StringData.class));
      }
      return Optional.of(types);
    }

    @Override
    public List<Signature> getExpectedSignatures(FunctionDefinition definition) {
      return List.of(Signature.of(Signature.Argument.of("in"), Signature.Argument.of("spec")));
    }
  }
}
