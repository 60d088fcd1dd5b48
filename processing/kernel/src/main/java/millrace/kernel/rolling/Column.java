package millrace.kernel.rolling;

import millrace.kernel.spec.SpecException;

/**
 * A column of the input.
 *
 * @param isWhole a BIGINT: a number that may also be the time
 */
public record Column(String name, Type type, boolean isWhole, String sql) {
  /** What the kernel knows of SQL's types. */
  public enum Type {
    NUMBER,
    STRING,
    BOOLEAN,
    TIME,
    OTHER
  }

  /**
   * Return a column of a SQL type, for callers without Flink: BIGINT, DOUBLE, STRING, BOOLEAN or
   * TIMESTAMP (in milliseconds).
   *
   * @throws SpecException for another type
   */
  public static Column ofSql(String name, String sql) {
    return switch (sql) {
      case "BIGINT" -> new Column(name, Type.NUMBER, true, sql);
      case "DOUBLE" -> new Column(name, Type.NUMBER, false, sql);
      case "STRING" -> new Column(name, Type.STRING, false, sql);
      case "BOOLEAN" -> new Column(name, Type.BOOLEAN, false, sql);
      case "TIMESTAMP" -> new Column(name, Type.TIME, false, "TIMESTAMP(3)");
      default -> throw new SpecException("column '" + name + "': unknown type " + sql);
    };
  }

  /** A column of type {@code type}, for callers without SQL types. */
  static Column of(String name, Type type) {
    return new Column(name, type, false, type.name());
  }
}
