package millrace.kernel.function;

import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import millrace.kernel.spec.SpecException;
import millrace.kernel.state.HeapBudget;
import millrace.kernel.state.HotHeads;
import millrace.kernel.state.MapStore;
import millrace.kernel.state.RowKey;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.catalog.DataTypeFactory;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
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
 * A process table function of a keyed table {@code in} and a {@code spec}, a JSON literal: adds
 * columns to the rows as they pass. Its state is one map of bytes per key, read lazily. The
 * subclass has {@code eval(MapView<Long, byte[]> state, RowData in, StringData spec)}.
 */
public abstract class SpecFunction extends ProcessTableFunction<RowData>
    implements SpecializedFunction {
  private static final long serialVersionUID = 1L;
  private static final String INPUT = "in";

  /** What the call is for; null until Flink specializes the function for it. */
  protected final String spec;

  /** The type of the table {@code in}; null as {@link #spec} is. */
  protected final DataType input;

  /** Columns of the key; null as {@link #spec} is. */
  protected final int[] partition;

  protected SpecFunction(String spec, DataType input, int[] partition) {
    this.spec = spec;
    this.input = input;
    this.partition = partition;
  }

  /** The function's name in SQL, for messages. */
  protected abstract String sqlName();

  /** The same function for the call that the arguments describe. */
  protected abstract SpecFunction of(String spec, DataType input, int[] partition);

  /** The columns added. Throws {@link SpecException} for a spec that cannot be computed. */
  protected abstract List<DataTypes.Field> output(String spec, DataType input);

  /** How long an entry of the state is kept after it was put, by wall time. */
  protected abstract long keepIdleMs(String spec);

  /** Open the state of the call, its heads on the heap where the TaskManager's budget allows. */
  protected final MapStore store() {
    return new MapStore(
        RowKey.over(input, partition),
        new HotHeads(HeapBudget.shared()),
        System::currentTimeMillis,
        keepIdleMs(spec));
  }

  @Override
  public UserDefinedFunction specialize(SpecializedContext context) {
    CallContext call = context.getCallContext();
    return of(spec(call), semantics(call).dataType(), semantics(call).partitionByColumns());
  }

  @Override
  public TypeInference getTypeInference(DataTypeFactory factory) {
    LinkedHashMap<String, StateTypeStrategy> state = new LinkedHashMap<>();
    state.put("state", new State(call -> told(() -> keepIdleMs(spec(call)))));
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
        .outputTypeStrategy(
            call -> {
              List<DataTypes.Field> fields =
                  told(() -> output(spec(call), semantics(call).dataType()));
              return Optional.of(DataTypes.ROW(fields).notNull().bridgedTo(RowData.class));
            })
        .build();
  }

  private <T> T told(Supplier<T> made) {
    try {
      return made.get();
    } catch (SpecException e) {
      throw new ValidationException(sqlName() + ": " + e.getMessage(), e);
    }
  }

  private String spec(CallContext call) {
    return call.getArgumentValue(1, String.class)
        .orElseThrow(() -> new ValidationException(sqlName() + ": spec is a string literal"));
  }

  private TableSemantics semantics(CallContext call) {
    return call.getTableSemantics(0)
        .orElseThrow(() -> new ValidationException(sqlName() + ": 'in' is a table"));
  }

  /** One map, kept as long as the spec of the call says, whatever the job's time-to-live is. */
  private record State(Function<CallContext, Long> keepIdleMs) implements StateTypeStrategy {
    @Override
    public Optional<DataType> inferType(CallContext call) {
      return Optional.of(
          MapView.newMapViewDataType(
              DataTypes.BIGINT().notNull().bridgedTo(Long.class),
              DataTypes.BYTES().notNull().bridgedTo(byte[].class)));
    }

    @Override
    public Optional<Duration> getTimeToLive(CallContext call) {
      return Optional.of(Duration.ofMillis(keepIdleMs.apply(call)));
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
