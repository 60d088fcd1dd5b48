package millrace.kernel.distinct;

import java.math.BigDecimal;
import millrace.kernel.state.Hash;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.AggregateFunction;

/**
 * The aggregate function {@code distinct_sum(id, amount)}: the sum of the amounts of different ids,
 * of each the first that is not NULL; NULL if there is none. Ids are told apart as in {@link
 * DistinctCount}.
 */
@FunctionHint(output = @DataTypeHint("DECIMAL(38, 6)"))
public final class DistinctSum extends AggregateFunction<BigDecimal, DistinctSum.Sum> {
  private static final long serialVersionUID = 1L;

  /** The ids that are in a sum, and the sum. */
  public static final class Sum {
    public Hashes seen = new Hashes();

    @DataTypeHint("DECIMAL(38, 6)")
    public BigDecimal sum = BigDecimal.ZERO;
  }

  @Override
  public Sum createAccumulator() {
    return new Sum();
  }

  /** Called by Flink for each row. */
  public void accumulate(
      Sum sum,
      @DataTypeHint(value = "STRING", bridgedTo = StringData.class) StringData id,
      @DataTypeHint("DECIMAL(24, 6)") BigDecimal amount) {
    if (id != null && amount != null && sum.seen.add(Hash.of(id.toBytes()))) {
      sum.sum = sum.sum.add(amount);
    }
  }

  @Override
  public BigDecimal getValue(Sum sum) {
    return sum.seen.count == 0 ? null : sum.sum;
  }
}
