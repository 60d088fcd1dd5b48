package millrace.kernel.tally;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.functions.AggregateFunction;
import org.apache.flink.types.Row;

/**
 * The aggregate function {@code top_items(item, units, minor)}: the items of a group by amount,
 * then units, then id, at most {@value #MOST}, and how many there are. A row without item counts
 * for none.
 */
@FunctionHint(
    output =
        @DataTypeHint(
            "ROW<items ARRAY<STRING>, units ARRAY<BIGINT>, minor ARRAY<BIGINT>, many BIGINT>"))
public final class TopItems extends AggregateFunction<Row, TopItems.Sold> {
  private static final long serialVersionUID = 1L;

  /** How many items are told at most. */
  static final int MOST = 100;

  /** Units and amount by item. */
  public static final class Sold {
    public Map<String, Long> units = new HashMap<>();
    public Map<String, Long> minor = new HashMap<>();
  }

  @Override
  public Sold createAccumulator() {
    return new Sold();
  }

  /** Called by Flink for each row. */
  public void accumulate(Sold sold, String item, Long units, Long minor) {
    if (item != null) {
      sold.units.merge(item, units == null ? 0 : units, Long::sum);
      sold.minor.merge(item, minor == null ? 0 : minor, Long::sum);
    }
  }

  /** Called by Flink for what other rows of the group came to. */
  public void merge(Sold sold, Iterable<Sold> others) {
    for (Sold other : others) {
      other.units.forEach((item, units) -> sold.units.merge(item, units, Long::sum));
      other.minor.forEach((item, minor) -> sold.minor.merge(item, minor, Long::sum));
    }
  }

  @Override
  public Row getValue(Sold sold) {
    List<String> items = new ArrayList<>(sold.units.keySet());
    items.sort(
        Comparator.comparing((String item) -> -sold.minor.get(item))
            .thenComparing(item -> -sold.units.get(item))
            .thenComparing(Comparator.naturalOrder()));
    List<String> told = items.subList(0, Math.min(MOST, items.size()));
    return Row.of(
        told.toArray(new String[0]),
        told.stream().map(sold.units::get).toArray(Long[]::new),
        told.stream().map(sold.minor::get).toArray(Long[]::new),
        (long) items.size());
  }
}
