package millrace.kernel.avro;

import java.util.Set;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.EncodingFormat;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.factories.SerializationFormatFactory;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;

/**
 * The format {@code millrace-text} for keys: one column's value as UTF-8 text, a timestamp as its
 * milliseconds. (Flink's own {@code raw} knows no timestamps and takes strings apart and together
 * again.) Option {@code column} names it where the key has several, as that of a table whose rows
 * are folded by more columns than their records are placed by.
 */
public final class TextFormatFactory implements SerializationFormatFactory {
  private static final ConfigOption<String> COLUMN =
      ConfigOptions.key("column").stringType().noDefaultValue();

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
    return Set.of(COLUMN);
  }

  @Override
  public EncodingFormat<SerializationSchema<RowData>> createEncodingFormat(
      DynamicTableFactory.Context context, ReadableConfig options) {
    FactoryUtil.validateFactoryOptions(this, options);
    String named = options.getOptional(COLUMN).orElse(null);
    return new EncodingFormat<>() {
      @Override
      public SerializationSchema<RowData> createRuntimeEncoder(
          DynamicTableSink.Context sink, DataType physical) {
        int place = place((RowType) physical.getLogicalType(), named);
        LogicalType type = physical.getChildren().get(place).getLogicalType();
        return new TextSerialization(type, place);
      }

      @Override
      public ChangelogMode getChangelogMode() {
        return ChangelogMode.insertOnly();
      }
    };
  }

  private static int place(RowType key, String named) {
    int place = named == null ? 0 : key.getFieldIndex(named);
    if (place < 0 || named == null && key.getFieldCount() != 1) {
      throw new ValidationException("Format 'millrace-text' writes one column, not " + key);
    }
    return place;
  }
}
