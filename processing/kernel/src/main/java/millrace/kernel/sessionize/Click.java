package millrace.kernel.sessionize;

import java.util.List;
import millrace.kernel.spec.SpecException;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;

/** A row of the input as a click. Reused between rows. */
final class Click {
  private static final int MILLISECONDS = 3;
  private static final int TIME = 1;

  byte[] id;
  long time;
  byte[] item;
  byte[] action;

  /** Where id, time, item and action are. */
  private final int[] columns;

  private final boolean timeIsNumber;

  Click(Spec spec, DataType input) {
    columns = check(spec, input);
    LogicalType type = input.getLogicalType().getChildren().get(columns[TIME]);
    timeIsNumber = type.is(LogicalTypeRoot.BIGINT);
  }

  /** Return where the columns are that a spec names. Throws {@link SpecException} naming one. */
  static int[] check(Spec spec, DataType input) {
    RowType row = (RowType) input.getLogicalType();
    List<String> names = spec.columns();
    int[] found = new int[names.size()];
    for (int i = 0; i < found.length; i++) {
      String name = names.get(i);
      found[i] = row.getFieldIndex(name);
      if (found[i] < 0) {
        throw new SpecException(
            "unknown column '" + name + "', know " + String.join(", ", row.getFieldNames()));
      }
      LogicalType type = row.getTypeAt(found[i]);
      if (!(i == TIME ? isTime(type) : isText(type))) {
        String wanted = i == TIME ? "TIMESTAMP(3), TIMESTAMP_LTZ(3) or BIGINT" : "STRING";
        throw new SpecException(
            "column '" + name + "' is " + wanted + ", not " + type.asSummaryString());
      }
    }
    return found;
  }

  private static boolean isText(LogicalType type) {
    return type.is(LogicalTypeRoot.VARCHAR) || type.is(LogicalTypeRoot.CHAR);
  }

  private static boolean isTime(LogicalType type) {
    return switch (type.getTypeRoot()) {
      case BIGINT -> true;
      case TIMESTAMP_WITHOUT_TIME_ZONE, TIMESTAMP_WITH_LOCAL_TIME_ZONE ->
          LogicalTypeChecks.getPrecision(type) == MILLISECONDS;
      default -> false;
    };
  }

  /** Read a row; return whether it is a click. */
  boolean read(RowData row) {
    for (int column : columns) {
      if (row.isNullAt(column)) {
        return false;
      }
    }
    id = row.getString(columns[0]).toBytes();
    time =
        timeIsNumber
            ? row.getLong(columns[TIME])
            : row.getTimestamp(columns[TIME], MILLISECONDS).getMillisecond();
    item = row.getString(columns[2]).toBytes();
    action = row.getString(columns[3]).toBytes();
    return true;
  }
}
