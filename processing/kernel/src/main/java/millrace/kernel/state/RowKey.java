package millrace.kernel.state;

import java.util.List;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;

/**
 * The key of a row as bytes, from the columns that its table is partitioned by. Two rows have equal
 * bytes if and only if Flink gives them the same state.
 */
public final class RowKey {
  private static final int NULL = 0;
  private static final int SET = 1;

  private final int[] columns;
  private final LogicalTypeRoot[] roots;

  private RowKey(int[] columns, LogicalTypeRoot[] roots) {
    this.columns = columns;
    this.roots = roots;
  }

  /** Null if a column is of a type that is seldom a key: its rows are not kept. */
  public static RowKey over(DataType input, int[] partition) {
    List<LogicalType> types = input.getLogicalType().getChildren();
    LogicalTypeRoot[] roots = new LogicalTypeRoot[partition.length];
    for (int i = 0; i < roots.length; i++) {
      roots[i] = types.get(partition[i]).getTypeRoot();
      switch (roots[i]) {
        case CHAR, VARCHAR, INTEGER, BIGINT -> {}
        default -> {
          return null;
        }
      }
    }
    return new RowKey(partition, roots);
  }

  /** Appends the key of {@code row}. */
  public void write(RowData row, Bytes out) {
    for (int i = 0; i < columns.length; i++) {
      int column = columns[i];
      if (row.isNullAt(column)) {
        out.putByte(NULL);
        continue;
      }
      out.putByte(SET);
      switch (roots[i]) {
        case INTEGER -> out.putInt(row.getInt(column));
        case BIGINT -> out.putLong(row.getLong(column));
        default -> {
          byte[] text = row.getString(column).toBytes();
          out.putVar(text.length);
          out.put(text, 0, text.length);
        }
      }
    }
  }
}
