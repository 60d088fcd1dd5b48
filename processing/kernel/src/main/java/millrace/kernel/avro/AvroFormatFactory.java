package millrace.kernel.avro;

import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.format.EncodingFormat;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.factories.SerializationFormatFactory;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;

/** The format {@code millrace-avro}. */
public final class AvroFormatFactory
    implements DeserializationFormatFactory, SerializationFormatFactory {
  private static final ConfigOption<String> URL =
      ConfigOptions.key("url")
          .stringType()
          .noDefaultValue()
          .withDescription("The schema registry, Confluent-compatible.");
  private static final ConfigOption<String> SCHEMA =
      ConfigOptions.key("schema")
          .stringType()
          .noDefaultValue()
          .withDescription("The Avro schema to read as, or to write.");
  private static final ConfigOption<String> SCHEMAS =
      ConfigOptions.key("schemas")
          .stringType()
          .noDefaultValue()
          .withDescription(
              "Instead of schema, for a topic of several record types: a JSON array of the Avro"
                  + " schemas to read as, chosen by the record's name.");
  private static final ConfigOption<String> SUBJECT =
      ConfigOptions.key("subject")
          .stringType()
          .noDefaultValue()
          .withDescription("Where the schema to write is registered; sinks need it.");
  private static final ConfigOption<Duration> UNKNOWN_FOR =
      ConfigOptions.key("unknown-for")
          .durationType()
          .defaultValue(Duration.ofSeconds(5))
          .withDescription(
              "How long an id that the registry does not know is not asked for again.");

  @Override
  public String factoryIdentifier() {
    return "millrace-avro";
  }

  @Override
  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of(URL);
  }

  @Override
  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of(SCHEMA, SCHEMAS, SUBJECT, UNKNOWN_FOR);
  }

  @Override
  public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
      DynamicTableFactory.Context context, ReadableConfig options) {
    FactoryUtil.validateFactoryOptions(this, options);
    return new AvroDecodingFormat(
        url(options), schemas(options), options.get(UNKNOWN_FOR).toMillis());
  }

  @Override
  public EncodingFormat<SerializationSchema<RowData>> createEncodingFormat(
      DynamicTableFactory.Context context, ReadableConfig options) {
    FactoryUtil.validateFactoryOptions(this, options);
    if (options.getOptional(SCHEMA).isEmpty()) {
      throw new ValidationException("A sink needs 'millrace-avro.schema'.");
    }
    AvroSchema schema = AvroSchema.parse(schemas(options).get(0));
    String url = url(options);
    String subject =
        options
            .getOptional(SUBJECT)
            .orElseThrow(() -> new ValidationException("A sink needs 'millrace-avro.subject'."));
    return new EncodingFormat<>() {
      @Override
      public SerializationSchema<RowData> createRuntimeEncoder(
          DynamicTableSink.Context sink, DataType physical) {
        RowType columns = (RowType) physical.getLogicalType();
        Columns.check(schema, columns);
        Columns.checkComplete(schema, columns);
        return new AvroSerialization(url, subject, options.get(SCHEMA), columns);
      }

      @Override
      public ChangelogMode getChangelogMode() {
        return ChangelogMode.insertOnly();
      }
    };
  }

  private static String url(ReadableConfig options) {
    String url = options.get(URL);
    if (!url.matches("https?://[^/\\s]+\\S*")) {
      throw new ValidationException(
          "'millrace-avro.url' is \"" + url + "\", not http://… or https://…");
    }
    return url;
  }

  /** Return the text of each contract; refuse what cannot be read, or not told apart. */
  private static List<String> schemas(ReadableConfig options) {
    boolean one = options.getOptional(SCHEMA).isPresent();
    if (one == options.getOptional(SCHEMAS).isPresent()) {
      throw new ValidationException(
          "Either 'millrace-avro.schema' or 'millrace-avro.schemas' must be given"
              + (one ? ", not both." : "."));
    }
    try {
      List<String> texts =
          one ? List.of(options.get(SCHEMA)) : Contracts.split(options.get(SCHEMAS));
      Contracts.of(texts);
      return texts;
    } catch (IllegalArgumentException e) {
      throw new ValidationException(
          "'millrace-avro." + (one ? "schema" : "schemas") + "' can't be read: " + e.getMessage(),
          e);
    }
  }
}
