package millrace.kernel.avro;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Arrays;
import java.util.List;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.metrics.Counter;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.util.Collector;

/** {@code decode} as Flink calls it: the columns, then the metadata asked for. */
final class AvroDeserialization implements DeserializationSchema<RowData> {
  private static final long serialVersionUID = 1L;

  /** What a table can read of a record beside its columns; all NULL for a record that is fine. */
  enum Metadata {
    REASON,
    DETAIL,
    RAW
  }

  /** Quarantine's messages may have 4 MiB (config/topics.yaml); the key takes room as well. */
  private static final int MOST_KEPT = 2 << 20;

  private final String url;
  private final String schema;
  private final long unknownForMillis;
  private final RowType columns;
  private final List<Metadata> metadata;
  private final TypeInformation<RowData> produced;
  private transient Decoder decoder;
  private transient Counter unreadable;

  AvroDeserialization(
      String url,
      String schema,
      long unknownForMillis,
      RowType columns,
      List<Metadata> metadata,
      TypeInformation<RowData> produced) {
    this.url = url;
    this.schema = schema;
    this.unknownForMillis = unknownForMillis;
    this.columns = columns;
    this.metadata = metadata;
    this.produced = produced;
  }

  @Override
  public void open(InitializationContext context) {
    unreadable = context.getMetricGroup().counter("unreadable");
    decoder =
        new Decoder(
            AvroSchema.parse(schema),
            columns,
            columns.getFieldCount() + metadata.size(),
            new Registry(url, 0),
            unknownForMillis,
            System::currentTimeMillis);
  }

  @Override
  public RowData deserialize(byte[] message) throws IOException {
    try {
      GenericRowData row = decoder.decode(message);
      return row != null ? row : unreadable(message);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("Interrupted while waiting for the schema registry");
    }
  }

  @Override
  public void deserialize(byte[] message, Collector<RowData> out) throws IOException {
    out.collect(deserialize(message));
  }

  private RowData unreadable(byte[] message) {
    unreadable.inc();
    Unreadable error = decoder.error();
    GenericRowData row = new GenericRowData(columns.getFieldCount() + metadata.size());
    for (int i = 0; i < metadata.size(); i++) {
      Object value =
          switch (metadata.get(i)) {
            case REASON -> StringData.fromString(error.reason);
            case DETAIL -> StringData.fromString(error.getMessage());
            case RAW -> cut(message);
          };
      row.setField(columns.getFieldCount() + i, value);
    }
    return row;
  }

  /** Whole as far as quarantine takes it; the reason of a longer one says how long it was. */
  private static byte[] cut(byte[] message) {
    return message == null || message.length <= MOST_KEPT
        ? message
        : Arrays.copyOf(message, MOST_KEPT);
  }

  @Override
  public boolean isEndOfStream(RowData nextElement) {
    return false;
  }

  @Override
  public TypeInformation<RowData> getProducedType() {
    return produced;
  }
}
