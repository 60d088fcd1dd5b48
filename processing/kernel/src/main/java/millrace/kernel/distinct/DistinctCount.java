package millrace.kernel.distinct;

import millrace.kernel.state.Hash;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.AggregateFunction;

/**
 * The aggregate function {@code distinct_count}: what {@code COUNT(DISTINCT text)} counts. Flink
 * keeps an entry of the state for each text, and looks it up for each row. Here a group's texts are
 * one value of 64-bit hashes, which a bundle of rows reads once and writes once. Two texts in a
 * group of 100,000 share a hash with a chance of 3e-10.
 */
public final class DistinctCount extends AggregateFunction<Long, Hashes> {
  private static final long serialVersionUID = 1L;

  @Override
  public Hashes createAccumulator() {
    return new Hashes();
  }

  /** Called by Flink for each row. */
  public void accumulate(
      Hashes seen, @DataTypeHint(value = "STRING", bridgedTo = StringData.class) StringData text) {
    if (text != null) {
      seen.add(Hash.of(text.toBytes()));
    }
  }

  @Override
  public Long getValue(Hashes seen) {
    return (long) seen.count;
  }
}
