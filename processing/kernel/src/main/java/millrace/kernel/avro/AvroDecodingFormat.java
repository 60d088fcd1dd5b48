package millrace.kernel.avro;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import millrace.kernel.avro.AvroDeserialization.Metadata;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;

/**
 * Describe {@code decode} to the planner: append-only rows, with reason, detail, raw and record as
 * metadata.
 */
final class AvroDecodingFormat implements DecodingFormat<DeserializationSchema<RowData>> {
  private static final Map<String, DataType> READABLE = new LinkedHashMap<>();

  static {
    READABLE.put("reason", DataTypes.STRING().nullable());
    READABLE.put("detail", DataTypes.STRING().nullable());
    READABLE.put("raw", DataTypes.BYTES().nullable());
    READABLE.put("record", DataTypes.STRING().nullable());
  }

  private final String url;
  private final List<String> schemas;
  private final long unknownForMillis;
  private List<String> metadata = List.of();

  AvroDecodingFormat(String url, List<String> schemas, long unknownForMillis) {
    this.url = url;
    this.schemas = schemas;
    this.unknownForMillis = unknownForMillis;
  }

  @Override
  public DeserializationSchema<RowData> createRuntimeDecoder(
      DynamicTableSource.Context context, DataType physical) {
    RowType columns = (RowType) physical.getLogicalType();
    Contracts.of(schemas).check(columns);
    Stream<DataTypes.Field> extra =
        metadata.stream().map(key -> DataTypes.FIELD("$millrace-" + key, READABLE.get(key)));
    Stream<DataTypes.Field> own = DataType.getFields(physical).stream();
    DataType produced = DataTypes.ROW(Stream.concat(own, extra).toList());
    return new AvroDeserialization(
        url,
        schemas,
        unknownForMillis,
        columns,
        metadata.stream().map(key -> Metadata.valueOf(key.toUpperCase(Locale.ROOT))).toList(),
        context.createTypeInformation(produced));
  }

  @Override
  public Map<String, DataType> listReadableMetadata() {
    return READABLE;
  }

  @Override
  public void applyReadableMetadata(List<String> keys) {
    metadata = List.copyOf(keys);
  }

  @Override
  public ChangelogMode getChangelogMode() {
    return ChangelogMode.insertOnly();
  }
}
