package millrace.kernel.tally;

import java.util.List;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.functions.AggregateFunction;
import org.apache.flink.types.Row;

/**
 * The aggregate function {@code window_sums(added, item, units, minor)}: the figures of a window,
 * each the sum of what {@code tally} says that events add to it, and the items sold by amount, then
 * units, then id, at most {@value #MOST}, and how many there are. A row without item counts for
 * none.
 */
@FunctionHint(
    accumulator =
        @DataTypeHint(value = "RAW", bridgedTo = Sums.class, rawSerializer = SumsSerializer.class),
    output =
        @DataTypeHint(
            "ROW<events BIGINT NOT NULL, orders BIGINT NOT NULL, gmv BIGINT NOT NULL, "
                + "unpriced BIGINT NOT NULL, visitors BIGINT NOT NULL, buyers BIGINT NOT NULL, "
                + "viewed BIGINT NOT NULL, carted BIGINT NOT NULL, purchased BIGINT NOT NULL, "
                + "sessions BIGINT NOT NULL, sessions_viewed BIGINT NOT NULL, "
                + "sessions_carted BIGINT NOT NULL, sessions_purchased BIGINT NOT NULL, "
                + "payments BIGINT NOT NULL, reviewed BIGINT NOT NULL, blocked BIGINT NOT NULL, "
                + "paid BIGINT NOT NULL, paid_blocked BIGINT NOT NULL, "
                + "items ARRAY<STRING>, units ARRAY<BIGINT>, minor ARRAY<BIGINT>, "
                + "many BIGINT NOT NULL>"))
public final class WindowSums extends AggregateFunction<Row, Sums> {
  private static final long serialVersionUID = 1L;

  /** How many items are told at most. */
  static final int MOST = 100;

  @Override
  public Sums createAccumulator() {
    return new Sums();
  }

  /** Called by Flink for each row. */
  public void accumulate(Sums sums, byte[] added, String item, Long units, Long minor) {
    sums.add(added);
    if (item != null) {
      sums.sell(item, units == null ? 0 : units, minor == null ? 0 : minor);
    }
  }

  /** Called by Flink for what other rows of the window came to. */
  public void merge(Sums sums, Iterable<Sums> others) {
    for (Sums other : others) {
      sums.add(other);
    }
  }

  @Override
  public Row getValue(Sums sums) {
    Row row = new Row(Added.COUNT + 4);
    for (int i = 0; i < Added.COUNT; i++) {
      row.setField(i, sums.figures[i]);
    }
    List<Sums.Sold> best = sums.best(MOST);
    row.setField(Added.COUNT, best.stream().map(Sums.Sold::item).toArray(String[]::new));
    row.setField(Added.COUNT + 1, best.stream().map(Sums.Sold::units).toArray(Long[]::new));
    row.setField(Added.COUNT + 2, best.stream().map(Sums.Sold::minor).toArray(Long[]::new));
    row.setField(Added.COUNT + 3, (long) sums.many());
    return row;
  }
}
