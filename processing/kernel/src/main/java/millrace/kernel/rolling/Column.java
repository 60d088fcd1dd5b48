package millrace.kernel.rolling;

/**
 * A column of the input.
 *
 * @param isWhole a BIGINT: a number that may also be the time
 */
record Column(String name, Type type, boolean isWhole, String sql) {
  /** What the kernel knows of SQL's types. */
  enum Type {
    NUMBER,
    STRING,
    BOOLEAN,
    TIME,
    OTHER
  }

  /** A column of type {@code type}, for callers without SQL types. */
  static Column of(String name, Type type) {
    return new Column(name, type, false, type.name());
  }
}
