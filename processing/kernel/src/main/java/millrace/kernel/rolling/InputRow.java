package millrace.kernel.rolling;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.TimestampType;

/** Flink's row as the engine reads it. */
final class InputRow implements Row {
  private static final int MILLISECONDS = 3;

  private final LogicalType[] types;
  private final LogicalTypeRoot[] roots;
  private RowData row;

  InputRow(DataType input) {
    types = input.getLogicalType().getChildren().toArray(LogicalType[]::new);
    roots = new LogicalTypeRoot[types.length];
    for (int i = 0; i < types.length; i++) {
      roots[i] = types[i].getTypeRoot();
    }
  }

  void set(RowData current) {
    row = current;
  }

  /** The columns of a table's type. */
  static List<Column> columns(DataType input) {
    List<Column> columns = new ArrayList<>();
    for (RowType.RowField field : ((RowType) input.getLogicalType()).getFields()) {
      LogicalType type = field.getType();
      columns.add(
          new Column(
              field.getName(),
              kind(type),
              type.is(LogicalTypeRoot.BIGINT),
              type.asSummaryString().replace(" NOT NULL", "")));
    }
    return columns;
  }

  private static Column.Type kind(LogicalType type) {
    return switch (type.getTypeRoot()) {
      case TINYINT, SMALLINT, INTEGER, BIGINT, FLOAT, DOUBLE, DECIMAL -> Column.Type.NUMBER;
      case CHAR, VARCHAR -> Column.Type.STRING;
      case BOOLEAN -> Column.Type.BOOLEAN;
      case TIMESTAMP_WITHOUT_TIME_ZONE -> isMilliseconds(((TimestampType) type).getPrecision());
      case TIMESTAMP_WITH_LOCAL_TIME_ZONE ->
          isMilliseconds(((LocalZonedTimestampType) type).getPrecision());
      default -> Column.Type.OTHER;
    };
  }

  private static Column.Type isMilliseconds(int precision) {
    return precision == MILLISECONDS ? Column.Type.TIME : Column.Type.OTHER;
  }

  @Override
  public boolean isNull(int column) {
    return row.isNullAt(column);
  }

  @Override
  public double number(int column) {
    return switch (roots[column]) {
      case DOUBLE -> row.getDouble(column);
      case BIGINT -> row.getLong(column);
      case INTEGER -> row.getInt(column);
      case FLOAT -> row.getFloat(column);
      case SMALLINT -> row.getShort(column);
      case TINYINT -> row.getByte(column);
      case DECIMAL -> {
        DecimalType decimal = (DecimalType) types[column];
        yield row.getDecimal(column, decimal.getPrecision(), decimal.getScale())
            .toBigDecimal()
            .doubleValue();
      }
      default -> throw new IllegalStateException(types[column] + " is not a number");
    };
  }

  @Override
  public boolean bool(int column) {
    return row.getBoolean(column);
  }

  @Override
  public byte[] text(int column) {
    return row.getString(column).toBytes();
  }

  @Override
  public long time(int column) {
    return roots[column] == LogicalTypeRoot.BIGINT
        ? row.getLong(column)
        : row.getTimestamp(column, MILLISECONDS).getMillisecond();
  }
}
