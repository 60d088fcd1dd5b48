package millrace.kernel.sessionize;

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
 * The process table function {@code sessionize}: a table of clicks, keyed by visitor, to the
 * session of each as it stands then. domain/shop/sessions.py specifies it. A row without id, time,
 * item or action is no click and leaves no trace. Thin: types and state here, everything else in
 * {@link Engine}.
 */
public final class Sessionize extends SpecFunction {
  private static final long serialVersionUID = 1L;

  private transient Engine engine;
  private transient Click click;
  private transient Answer answer;
  private transient MapStore store;
  private transient Counter late;
  private transient Counter duplicate;

  /** For {@code create function}. */
  public Sessionize() {
    this(null, null, null);
  }

  /** For the call that {@code spec}, {@code input} and {@code partition} describe. */
  Sessionize(String spec, DataType input, int[] partition) {
    super(spec, input, partition);
  }

  @Override
  protected String sqlName() {
    return "sessionize";
  }

  @Override
  protected SpecFunction of(String spec, DataType input, int[] partition) {
    return new Sessionize(spec, input, partition);
  }

  @Override
  public void open(FunctionContext context) {
    Spec declared = Spec.parse(spec);
    engine = new Engine(declared);
    click = new Click(declared, input);
    answer = new Answer();
    store = store();
    late = context.getMetricGroup().counter("late");
    duplicate = context.getMetricGroup().counter("duplicate");
  }

  /** Called by Flink for each row. The spec is known from {@link #specialize} already. */
  public void eval(MapView<Long, byte[]> state, RowData in, StringData unused) {
    if (!click.read(in)) {
      return;
    }
    store.set(state, in);
    switch (engine.process(click.id, click.time, click.item, click.action, store)) {
      case DUPLICATE -> duplicate.inc();
      case LATE -> {
        late.inc();
        collect(answer.late(click.id, click.time));
      }
      case COUNTED -> {
        for (Engine.Gone gone : engine.gone()) {
          collect(answer.gone(gone, engine.joined()));
        }
        collect(answer.session(engine.head(), engine.joinedAt()));
      }
      default -> throw new IllegalStateException();
    }
  }

  @Override
  protected List<DataTypes.Field> output(String spec, DataType input) {
    Click.check(Spec.parse(spec), input);
    return Answer.fields();
  }

  @Override
  protected long keepIdleMs(String spec) {
    return Spec.parse(spec).keepIdleMs();
  }
}
