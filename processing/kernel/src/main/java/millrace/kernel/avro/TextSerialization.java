package millrace.kernel.avro;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;

/** Write one column of a row as UTF-8 text, and NULL as no bytes. */
final class TextSerialization implements SerializationSchema<RowData> {
  private static final long serialVersionUID = 1L;

  private enum Kind {
    STRING,
    LONG,
    INT,
    TIMESTAMP
  }

  private final Kind kind;
  private final int place;
  private final int precision;

  TextSerialization(LogicalType type, int place) {
    this.place = place;
    kind =
        switch (type.getTypeRoot()) {
          case CHAR, VARCHAR -> Kind.STRING;
          case BIGINT -> Kind.LONG;
          case INTEGER -> Kind.INT;
          case TIMESTAMP_WITHOUT_TIME_ZONE, TIMESTAMP_WITH_LOCAL_TIME_ZONE -> Kind.TIMESTAMP;
          default ->
              throw new ValidationException("No key can be of type " + type.asSummaryString());
        };
    precision = kind == Kind.TIMESTAMP ? LogicalTypeChecks.getPrecision(type) : 0;
  }

  @Override
  public byte[] serialize(RowData row) {
    if (row.isNullAt(place)) {
      return null;
    }
    return switch (kind) {
      case STRING -> row.getString(place).toBytes();
      case LONG -> text(row.getLong(place));
      case INT -> text(row.getInt(place));
      case TIMESTAMP -> text(row.getTimestamp(place, precision).getMillisecond());
    };
  }

  private static byte[] text(long value) {
    return Long.toString(value).getBytes(StandardCharsets.US_ASCII);
  }
}
