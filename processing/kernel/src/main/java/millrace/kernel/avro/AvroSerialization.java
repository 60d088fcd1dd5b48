package millrace.kernel.avro;

import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.RowType;

/**
 * {@code encode}: rows in Confluent wire format, under the id that the schema has in the registry.
 * Throws IllegalArgumentException, naming the field, for NULL in a field that cannot be null and
 * for text that is not a symbol of an enum.
 */
final class AvroSerialization implements SerializationSchema<RowData> {
  private static final long serialVersionUID = 1L;
  private static final long REGISTRATION_WAIT = 60_000;

  private final String url;
  private final String subject;
  private final String schema;
  private final RowType columns;
  private transient int id;
  private transient Writers.Record writer;
  private transient Output out;

  AvroSerialization(String url, String subject, String schema, RowType columns) {
    this.url = url;
    this.subject = subject;
    this.schema = schema;
    this.columns = columns;
  }

  @Override
  public void open(InitializationContext context) throws InterruptedException {
    open(new Registry(url, REGISTRATION_WAIT).idOf(subject, schema));
  }

  void open(int schemaId) {
    id = schemaId;
    writer = Writers.record(AvroSchema.parse(schema), columns);
    out = new Output();
  }

  @Override
  public byte[] serialize(RowData row) {
    out.start(id);
    writer.write(row, out);
    return out.copy();
  }
}
