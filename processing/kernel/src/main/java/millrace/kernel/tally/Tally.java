package millrace.kernel.tally;

import java.util.Arrays;
import java.util.List;
import millrace.kernel.function.SpecFunction;
import millrace.kernel.spec.SpecException;
import millrace.kernel.state.Bytes;
import millrace.kernel.state.Hash;
import millrace.kernel.state.MapStore;
import millrace.kernel.state.StateStore;
import org.apache.flink.metrics.Counter;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.RowType;

/**
 * The process table function {@code tally}: a table of events, keyed by visitor and longest window,
 * to a row for each window that an event lies in, with what it {@code added} to that window's
 * figures, for {@code window_sums}. An event is known by its id within the shortest window, and one
 * that comes again adds nothing. What is added up is the same in whichever order events come: a row
 * takes back what the visitor's earlier events had added and no longer holds. So a window's figures
 * are sums of rows that are never changed.
 *
 * <p>Columns read: {@code id}, {@code time}, {@code stage} ({@link Stage}), {@code order_id} and
 * {@code minor}, an amount.
 */
public final class Tally extends SpecFunction {
  private static final long serialVersionUID = 1L;
  private static final String[] READ = {"id", "time", "stage", "order_id", "minor"};
  private static final LogicalTypeRoot[] TYPES = {
    LogicalTypeRoot.VARCHAR,
    LogicalTypeRoot.TIMESTAMP_WITH_LOCAL_TIME_ZONE,
    LogicalTypeRoot.INTEGER,
    LogicalTypeRoot.VARCHAR,
    LogicalTypeRoot.BIGINT
  };
  private transient Spec declared;
  private transient long longest;
  private transient long shortest;
  private transient int[] columns;
  private transient MapStore store;
  private transient Counter duplicate;
  private transient Hour hour;
  private transient Figures[] before;
  private transient Figures after;
  private transient long[] added;
  private transient Bytes written;
  private transient GenericRowData row;

  /** For {@code create function}. */
  public Tally() {
    this(null, null, null);
  }

  /** For the call that {@code spec}, {@code input} and {@code partition} describe. */
  Tally(String spec, DataType input, int[] partition) {
    super(spec, input, partition);
  }

  @Override
  protected String sqlName() {
    return "tally";
  }

  @Override
  protected SpecFunction of(String spec, DataType input, int[] partition) {
    return new Tally(spec, input, partition);
  }

  @Override
  public void open(FunctionContext context) {
    begin();
    store = store();
    duplicate = context.getMetricGroup().counter("duplicate");
  }

  /** Make what does not need Flink. */
  void begin() {
    declared = Spec.parse(spec);
    longest = declared.longest();
    shortest = declared.shortest();
    columns = places(input);
    hour = new Hour();
    before = new Figures[declared.windows().length];
    for (int i = 0; i < before.length; i++) {
      before[i] = new Figures();
    }
    after = new Figures();
    added = new long[Added.COUNT];
    written = new Bytes(64);
    row = new GenericRowData(3);
  }

  /** Called by Flink for each row. The spec is known from {@link #specialize} already. */
  public void eval(MapView<Long, byte[]> state, RowData in, StringData unused) {
    store.set(state, in);
    if (!process(in, store)) {
      duplicate.inc();
    }
  }

  /** Emit what an event adds; return false for one that was there. */
  boolean process(RowData in, StateStore state) {
    long time = in.getTimestamp(columns[1], 3).getMillisecond();
    long start = Math.floorDiv(time, longest) * longest;
    int within = (int) (time - start);
    long id = Hash.of(in.getString(columns[0]).toBytes(), within / shortest);
    hour.read(state.get(StateStore.HEAD));
    if (hour.has(id)) {
      return false;
    }
    int stage = in.getInt(columns[2]);
    if (Stage.isPayment(stage)) {
      hour.add(id, within, stage, 0);
      for (long window : declared.windows()) {
        window(start, within, window);
        payment(stage, amount(in));
        tell();
      }
    } else {
      event(in, start, within, id, stage);
    }
    state.put(StateStore.HEAD, hour.write());
    return true;
  }

  private void event(RowData in, long start, int within, long id, int stage) {
    long[] windows = declared.windows();
    for (int i = 0; i < windows.length; i++) {
      take(before[i], within, windows[i]);
    }
    boolean ordered = stage == Stage.LINE && !in.isNullAt(columns[3]);
    hour.add(id, within, stage, ordered ? Hash.of(in.getString(columns[3]).toBytes()) : 0);
    for (int i = 0; i < windows.length; i++) {
      take(after, within, windows[i]);
      window(start, within, windows[i]);
      added[Added.EVENTS] = 1;
      if (stage == Stage.LINE) {
        added[Added.GMV] = amount(in);
        added[Added.UNPRICED] = in.isNullAt(columns[4]) ? 1 : 0;
      }
      changed(before[i]);
      tell();
    }
  }

  private void changed(Figures were) {
    added[Added.ORDERS] = after.orders - were.orders;
    added[Added.VISITORS] = after.visitors - were.visitors;
    added[Added.BUYERS] = after.buyers - were.buyers;
    added[Added.VIEWED] = after.viewed - were.viewed;
    added[Added.CARTED] = after.carted - were.carted;
    added[Added.PURCHASED] = after.purchased - were.purchased;
    added[Added.SESSIONS] = after.sessions - were.sessions;
    added[Added.SESSIONS_VIEWED] = after.sessionsViewed - were.sessionsViewed;
    added[Added.SESSIONS_CARTED] = after.sessionsCarted - were.sessionsCarted;
    added[Added.SESSIONS_PURCHASED] = after.sessionsPurchased - were.sessionsPurchased;
  }

  private void payment(int stage, long amount) {
    added[Added.PAYMENTS] = 1;
    added[Added.REVIEWED] = stage == Stage.REVIEWED ? 1 : 0;
    added[Added.PAID] = amount;
    if (stage == Stage.BLOCKED) {
      added[Added.BLOCKED] = 1;
      added[Added.PAID_BLOCKED] = amount;
    }
  }

  private void take(Figures figures, int within, long window) {
    int from = (int) (within / window * window);
    figures.take(hour, from, (int) (from + window), declared.gapMs());
  }

  private void window(long start, int within, long window) {
    row.setField(0, window);
    row.setField(1, TimestampData.fromEpochMillis(start + within / window * window));
    Arrays.fill(added, 0);
  }

  private void tell() {
    written.at = 0;
    Added.write(added, written);
    row.setField(2, written.copy());
    collect(row);
  }

  private long amount(RowData in) {
    return in.isNullAt(columns[4]) ? 0 : in.getLong(columns[4]);
  }

  @Override
  protected List<DataTypes.Field> output(String spec, DataType input) {
    Spec.parse(spec);
    places(input);
    return List.of(
        DataTypes.FIELD("window_ms", DataTypes.BIGINT().notNull()),
        DataTypes.FIELD("window_start", DataTypes.TIMESTAMP_LTZ(3).notNull()),
        DataTypes.FIELD("added", DataTypes.BYTES().notNull()));
  }

  @Override
  protected long keepIdleMs(String spec) {
    return Spec.parse(spec).keepIdleMs();
  }

  private static int[] places(DataType input) {
    RowType row = (RowType) input.getLogicalType();
    int[] found = new int[READ.length];
    for (int i = 0; i < READ.length; i++) {
      found[i] = row.getFieldIndex(READ[i]);
      if (found[i] < 0 || !row.getTypeAt(found[i]).is(TYPES[i])) {
        throw new SpecException("'" + READ[i] + "' must be a column of type " + TYPES[i]);
      }
    }
    return found;
  }
}
