package millrace.kernel.avro;

/**
 * Reads one value as the writer wrote it into what the table's column holds (Flink's internal
 * types).
 */
@FunctionalInterface
interface Reader {
  /** Throws {@link Unreadable} where the bytes are no such value. */
  Object read(Input in);
}
