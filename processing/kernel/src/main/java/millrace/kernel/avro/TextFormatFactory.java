package millrace.kernel.avro;

import java.util.Set;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.EncodingFormat;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.factories.SerializationFormatFactory;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalType;

/**
 * The format {@code millrace-text} for keys: one column's value as UTF-8 text, a timestamp as its
 * milliseconds. (Flink's own {@code raw} knows no timestamps and takes strings apart and together
 * again.)
 */
public final class TextFormatFactory implements SerializationFormatFactory {
  @Override
  public String factoryIdentifier() {
    return "millrace-text";
  }

  @Override
  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of();
  }

  @Override
  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of();
  }

  @Override
  public EncodingFormat<SerializationSchema<RowData>> createEncodingFormat(
      DynamicTableFactory.Context context, ReadableConfig options) {
    return new EncodingFormat<>() {
      @Override
      public SerializationSchema<RowData> createRuntimeEncoder(
          DynamicTableSink.Context sink, DataType physical) {
        if (physical.getChildren().size() != 1) {
          throw new ValidationException(
              "Format 'millrace-text' writes one column, not " + physical);
        }
        LogicalType type = physical.getChildren().get(0).getLogicalType();
        return new TextSerialization(type);
      }

      @Override
      public ChangelogMode getChangelogMode() {
        return ChangelogMode.insertOnly();
      }
    };
  }
}
