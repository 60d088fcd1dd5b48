package millrace.kernel.avro;

/**
 * Read one value as the writer wrote it, as the table's column holds it (Flink's internal types).
 */
@FunctionalInterface
interface Reader {
  /** Read the value; throw {@link Unreadable} if the bytes are not one. */
  Object read(Input in);
}
