package millrace.kernel.avro;

/**
 * Reads one value as the writer wrote it into what the table's column holds (Flink's internal
 * types).
 */
@FunctionalInterface
interface Reader {
  /** Read the value; throw {@link Unreadable} where the bytes are none. */
  Object read(Input in);
}
