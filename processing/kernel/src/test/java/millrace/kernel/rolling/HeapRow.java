package millrace.kernel.rolling;

import java.nio.charset.StandardCharsets;
import java.util.List;

/** A row of boxed values, for tests: Double, String, Boolean, Long (a time) or null by column. */
final class HeapRow implements Row {
  private Object[] values;

  HeapRow(Object... values) {
    this.values = values;
  }

  HeapRow set(Object... now) {
    values = now;
    return this;
  }

  /** Columns written {@code name TYPE}; BIGINT is a number that may be the time. */
  static List<Column> columns(String... declared) {
    return java.util.Arrays.stream(declared).map(HeapRow::column).toList();
  }

  private static Column column(String declared) {
    String[] parts = declared.split(" ");
    return switch (parts[1]) {
      case "BIGINT" -> new Column(parts[0], Column.Type.NUMBER, true, "BIGINT");
      case "DOUBLE" -> new Column(parts[0], Column.Type.NUMBER, false, "DOUBLE");
      case "TIMESTAMP" -> new Column(parts[0], Column.Type.TIME, false, "TIMESTAMP(3)");
      default -> Column.of(parts[0], Column.Type.valueOf(parts[1]));
    };
  }

  @Override
  public boolean isNull(int column) {
    return values[column] == null;
  }

  @Override
  public double number(int column) {
    return ((Number) values[column]).doubleValue();
  }

  @Override
  public boolean bool(int column) {
    return (Boolean) values[column];
  }

  @Override
  public byte[] text(int column) {
    return ((String) values[column]).getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public long time(int column) {
    return (Long) values[column];
  }
}
