package millrace.kernel.avro;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.BooleanType;
import org.apache.flink.table.types.logical.DateType;
import org.apache.flink.table.types.logical.DoubleType;
import org.apache.flink.table.types.logical.FloatType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LocalZonedTimestampType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.VarBinaryType;
import org.apache.flink.table.types.logical.VarCharType;

/** Random records, written and read by Apache Avro: the oracle of these tests. */
final class Records {
  private static final String[] TEXTS = {
    "", "a", "tx-000000017", "Grüße", "日本語のテキスト", "😀 emoji", "x".repeat(300)
  };

  private Records() {}

  /** The .avsc files of the project. */
  static List<String> contracts() {
    try (Stream<Path> files = Files.list(Path.of("../../ingestion/schema"))) {
      List<String> texts = new ArrayList<>();
      for (Path file : files.filter(path -> path.toString().endsWith(".avsc")).sorted().toList()) {
        texts.add(Files.readString(file));
      }
      return texts;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String contract(String name) {
    return contracts().stream()
        .filter(text -> text.contains("\"name\": \"" + name + "\""))
        .findFirst()
        .orElseThrow();
  }

  static Schema avro(String text) {
    return new Schema.Parser().parse(text);
  }

  /** A value of the schema; strings are not empty where the contract says so. */
  static Object value(Schema schema, boolean mayBeEmpty, Random random) {
    return switch (schema.getType()) {
      case NULL -> null;
      case BOOLEAN -> random.nextBoolean();
      case INT -> random.nextInt() >> random.nextInt(32);
      case LONG ->
          schema.getLogicalType() == null
              ? random.nextLong() >> random.nextInt(64)
              : random.nextLong() >> 20;
      case FLOAT -> (float) random.nextGaussian();
      case DOUBLE -> random.nextInt(9) == 0 ? -0.0 : random.nextGaussian() * 1e6;
      case STRING ->
          TEXTS[mayBeEmpty ? random.nextInt(TEXTS.length) : 1 + random.nextInt(TEXTS.length - 1)];
      case BYTES -> ByteBuffer.wrap(bytes(random.nextInt(20), random));
      case FIXED -> new GenericData.Fixed(schema, bytes(schema.getFixedSize(), random));
      case ENUM ->
          new GenericData.EnumSymbol(
              schema, schema.getEnumSymbols().get(random.nextInt(schema.getEnumSymbols().size())));
      case UNION ->
          value(schema.getTypes().get(random.nextInt(schema.getTypes().size())), true, random);
      case RECORD -> record(schema, random);
      case ARRAY -> {
        List<Object> items = new ArrayList<>();
        for (int i = random.nextInt(4); i > 0; i--) {
          items.add(value(schema.getElementType(), true, random));
        }
        yield items;
      }
      case MAP -> {
        Map<String, Object> entries = new HashMap<>();
        for (int i = random.nextInt(4); i > 0; i--) {
          entries.put("key" + i, value(schema.getValueType(), true, random));
        }
        yield entries;
      }
    };
  }

  static GenericRecord record(Schema schema, Random random) {
    GenericRecord record = new GenericData.Record(schema);
    for (Schema.Field field : schema.getFields()) {
      boolean mayBeEmpty = field.getObjectProp("minLength") == null;
      record.put(field.pos(), value(field.schema(), mayBeEmpty, random));
    }
    return record;
  }

  private static byte[] bytes(int count, Random random) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }

  /** In wire format, as Apache Avro writes it. */
  static byte[] write(int id, Object value, Schema schema) {
    try {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      out.write(ByteBuffer.allocate(5).put((byte) 0).putInt(id).array());
      BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
      new GenericDatumWriter<>(schema).write(value, encoder);
      encoder.flush();
      return out.toByteArray();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** As Apache Avro reads it. */
  static GenericRecord read(byte[] message, Schema writer, Schema reader) throws IOException {
    return new GenericDatumReader<GenericRecord>(writer, reader)
        .read(null, DecoderFactory.get().binaryDecoder(message, 5, message.length - 5, null));
  }

  /** The table's columns for a schema, as processing/tables.py derives them. */
  static RowType columns(Schema schema) {
    List<RowType.RowField> fields = new ArrayList<>();
    for (Schema.Field field : schema.getFields()) {
      fields.add(new RowType.RowField(field.name(), column(field.schema())));
    }
    return new RowType(fields);
  }

  private static LogicalType column(Schema schema) {
    String logical = schema.getProp("logicalType");
    return switch (schema.getType()) {
      case BOOLEAN -> new BooleanType();
      case INT -> "date".equals(logical) ? new DateType() : new IntType();
      case LONG ->
          logical == null
              ? new BigIntType()
              : new LocalZonedTimestampType(Timestamps.digits(logical));
      case FLOAT -> new FloatType();
      case DOUBLE -> new DoubleType();
      case STRING, ENUM -> VarCharType.STRING_TYPE;
      case BYTES, FIXED -> new VarBinaryType(VarBinaryType.MAX_LENGTH);
      case ARRAY -> new ArrayType(column(schema.getElementType()));
      case MAP -> new MapType(VarCharType.STRING_TYPE, column(schema.getValueType()));
      case RECORD -> columns(schema);
      case UNION ->
          column(
              schema.getTypes().stream()
                  .filter(s -> s.getType() != Schema.Type.NULL)
                  .findFirst()
                  .orElseThrow());
      case NULL -> throw new IllegalArgumentException("null");
    };
  }
}
