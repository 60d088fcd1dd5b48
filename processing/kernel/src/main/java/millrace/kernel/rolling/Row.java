package millrace.kernel.rolling;

/**
 * The current row, by the positions of its columns. Only the accessor of the column's {@link
 * Column.Type} may be called.
 */
public interface Row {
  boolean isNull(int column);

  /** Of a NUMBER. */
  double number(int column);

  /** Of a BOOLEAN. */
  boolean bool(int column);

  /** UTF-8 of a STRING. */
  byte[] text(int column);

  /** Milliseconds since 1970 of a TIME, or of a NUMBER that is a BIGINT. */
  long time(int column);
}
