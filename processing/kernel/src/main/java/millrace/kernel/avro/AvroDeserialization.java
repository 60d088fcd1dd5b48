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

/** Run {@code decode} for Flink: the columns, then the metadata asked for. */
final class AvroDeserialization implements DeserializationSchema<RowData> {
  private static final long serialVersionUID = 1L;

  /**
   * The metadata that a table can read of a message. REASON and DETAIL are NULL for a record that
   * is fine, RECORD (the name of the contract it was read as) for one that is not. RAW is there for
   * both: a job may refuse a record that can be read.
   */
  enum Metadata {
    REASON,
    DETAIL,
    RAW,
    RECORD
  }

  /** Quarantine's messages may have 4 MiB (config/topics.yaml); the key takes room as well. */
  private static final int MOST_KEPT = 2 << 20;

  private final String url;
  private final List<String> schemas;
  private final long unknownForMillis;
  private final RowType columns;
  private final List<Metadata> metadata;
  private final TypeInformation<RowData> produced;

  /** The field of a row that holds RECORD, or -1. */
  private final int recordAt;

  /** The field of a row that holds RAW, or -1. */
  private final int rawAt;

  private transient Decoder decoder;
  private transient Counter unreadable;

  /**
   * @param schemas the texts of the contracts, serializable
   */
  AvroDeserialization(
      String url,
      List<String> schemas,
      long unknownForMillis,
      RowType columns,
      List<Metadata> metadata,
      TypeInformation<RowData> produced) {
    this.url = url;
    this.schemas = schemas;
    this.unknownForMillis = unknownForMillis;
    this.columns = columns;
    this.metadata = metadata;
    this.produced = produced;
    recordAt = at(Metadata.RECORD);
    rawAt = at(Metadata.RAW);
  }

  private int at(Metadata key) {
    int at = metadata.indexOf(key);
    return at < 0 ? -1 : columns.getFieldCount() + at;
  }

  @Override
  public void open(InitializationContext context) {
    unreadable = context.getMetricGroup().counter("unreadable");
    decoder =
        new Decoder(
            Contracts.of(schemas),
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
      if (row == null) {
        return unreadable(message);
      }
      if (recordAt >= 0) {
        row.setField(recordAt, decoder.record());
      }
      if (rawAt >= 0) {
        row.setField(rawAt, cut(message));
      }
      return row;
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
            case RECORD -> null;
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
