/**
 * The Flink format {@code millrace-avro}: Confluent wire format to {@code RowData} and back,
 * without GenericRecord, and without ever failing on what a record holds. See
 * docs/decisions/0004-decode-as-a-format.md.
 */
package millrace.kernel.avro;
