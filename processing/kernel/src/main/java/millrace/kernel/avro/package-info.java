/**
 * The Flink format {@code millrace-avro}: Confluent wire format to {@code RowData} and back,
 * without GenericRecord, and without failing on any content of a record. See
 * docs/decisions/0004-decode-as-a-format.md.
 */
package millrace.kernel.avro;
