package millrace.kernel.avro;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Random;
import java.util.ServiceLoader;
import java.util.stream.Stream;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.factories.Factory;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the planner sees of the formats: their names, what they refuse, and key texts. */
class FormatTest {
  private static RowType row(DataTypes.Field... fields) {
    return (RowType) DataTypes.ROW(fields).getLogicalType();
  }

  private static String refusal(String schema, DataTypes.Field... fields) {
    AvroSchema parsed = AvroSchema.parse(schema);
    return assertThrows(ValidationException.class, () -> Columns.check(parsed, row(fields)))
        .getMessage();
  }

  @Test
  void bothFormatsAreFound() {
    Stream<String> names =
        ServiceLoader.load(Factory.class).stream()
            .filter(provider -> provider.type().getName().startsWith("millrace"))
            .map(provider -> provider.get().factoryIdentifier());
    assertEquals(java.util.List.of("millrace-avro", "millrace-text"), names.sorted().toList());
  }

  @Test
  void columnsThatDoNotFitAreRefusedByName() {
    String transaction = Records.contract("Transaction");
    assertEquals(
        "Column 'amuont' is no field of millrace.Transaction",
        refusal(transaction, DataTypes.FIELD("amuont", DataTypes.DOUBLE())));
    assertEquals(
        "Column 'amount' of type INT can't hold Avro's double",
        refusal(transaction, DataTypes.FIELD("amount", DataTypes.INT())));
    assertTrue(
        refusal(transaction, DataTypes.FIELD("event_time", DataTypes.TIMESTAMP(0)))
            .contains("long (timestamp-millis)"));
    assertTrue(refusal("\"string\"").contains("must be a record"));
    assertEquals(
        "Column 'u' of type STRING can't hold Avro's union",
        refusal(
            "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"u\",\"type\":[\"int\","
                + "\"string\"]}]}",
            DataTypes.FIELD("u", DataTypes.STRING())));
  }

  @Test
  void timestampsWithAndWithoutZoneAndAsNumbersAllFit() {
    AvroSchema schema = AvroSchema.parse(Records.contract("Transaction"));
    for (var type :
        java.util.List.of(DataTypes.TIMESTAMP(3), DataTypes.TIMESTAMP_LTZ(3), DataTypes.BIGINT())) {
      RowType columns = row(DataTypes.FIELD("event_time", type));
      Columns.check(schema, columns);
      assertThrows(ValidationException.class, () -> Columns.checkComplete(schema, columns));
    }
    RowType label = Records.columns(Records.avro(Records.contract("FraudLabel")));
    Columns.checkComplete(AvroSchema.parse(Records.contract("FraudLabel")), label);
  }

  @Test
  void nestedRecordsMustBeCompleteToo() {
    AvroSchema schema =
        AvroSchema.parse(
            "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"items\",\"type\":"
                + "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"N\",\"fields\":["
                + "{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"int\"}]}}}]}");
    DataTypes.Field a = DataTypes.FIELD("a", DataTypes.INT());
    DataTypes.Field b = DataTypes.FIELD("b", DataTypes.INT());
    Columns.checkComplete(
        schema, row(DataTypes.FIELD("items", DataTypes.ARRAY(DataTypes.ROW(a, b)))));
    RowType without = row(DataTypes.FIELD("items", DataTypes.ARRAY(DataTypes.ROW(a))));
    String message =
        assertThrows(ValidationException.class, () -> Columns.checkComplete(schema, without))
            .getMessage();
    assertEquals("No column for field 'b' of N", message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"localhost:8081", "", "ftp://host/", "http://", "http:///x y"})
  void whatIsNoAddressOfARegistryIsRefused(String url) {
    Configuration options = new Configuration();
    options.setString("url", url);
    options.setString("schema", Records.contract("Transaction"));
    String message =
        assertThrows(
                ValidationException.class,
                () -> new AvroFormatFactory().createDecodingFormat(null, options))
            .getMessage();
    assertTrue(message.contains("millrace-avro.url"), message);
  }

  @Test
  void aUnionOfOneTypeHasAnIndex() throws Exception {
    String text =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":[\"string\"]}]}";
    RowType columns = row(DataTypes.FIELD("x", DataTypes.STRING()));
    Output out = new Output();
    Writers.record(AvroSchema.parse(text), columns)
        .write(GenericRowData.of(StringData.fromString("ab")), out);
    assertArrayEquals(new byte[] {0, 4, 'a', 'b'}, out.copy());
  }

  @Test
  void keysAreText() {
    assertArrayEquals(
        "Köln".getBytes(StandardCharsets.UTF_8),
        key(DataTypes.STRING().getLogicalType(), StringData.fromString("Köln")));
    assertArrayEquals(
        "-5".getBytes(StandardCharsets.UTF_8), key(DataTypes.BIGINT().getLogicalType(), -5L));
    assertArrayEquals(
        "7".getBytes(StandardCharsets.UTF_8), key(DataTypes.INT().getLogicalType(), 7));
    TimestampData time = TimestampData.fromEpochMillis(1_700_000_000_123L);
    assertArrayEquals(
        "1700000000123".getBytes(StandardCharsets.UTF_8),
        key(DataTypes.TIMESTAMP_LTZ(3).getLogicalType(), time));
    assertNull(key(DataTypes.STRING().getLogicalType(), null));
    assertThrows(
        ValidationException.class,
        () -> new TextSerialization(DataTypes.DOUBLE().getLogicalType(), 0));
  }

  @Test
  void ofAKeyOfSeveralColumnsTheNamedOneIsWritten() {
    DataType key =
        DataTypes.ROW(
            DataTypes.FIELD("late", DataTypes.BOOLEAN()),
            DataTypes.FIELD("user_id", DataTypes.STRING()));
    Configuration options = new Configuration();
    assertThrows(ValidationException.class, () -> encoder(options, key));
    options.setString("column", "nobody");
    assertThrows(ValidationException.class, () -> encoder(options, key));
    options.setString("column", "user_id");
    byte[] written =
        encoder(options, key).serialize(GenericRowData.of(true, StringData.fromString("u")));
    assertArrayEquals("u".getBytes(StandardCharsets.UTF_8), written);
  }

  private static SerializationSchema<RowData> encoder(Configuration options, DataType key) {
    return new TextFormatFactory()
        .createEncodingFormat(null, options)
        .createRuntimeEncoder(null, key);
  }

  private static byte[] key(LogicalType type, Object value) {
    return new TextSerialization(type, 0).serialize(GenericRowData.of(value));
  }

  @Test
  void utf8IsJudgedAsJavaJudgesIt() {
    Random random = new Random(3);
    for (int i = 0; i < 200_000; i++) {
      byte[] bytes = new byte[random.nextInt(24)];
      random.nextBytes(bytes);
      for (int at = 0; at < bytes.length; at++) {
        if (random.nextInt(3) > 0) {
          bytes[at] &= 0x7f;
        }
      }
      boolean valid = new String(bytes, StandardCharsets.UTF_8).indexOf('\ufffd') < 0;
      assertEquals(valid, Utf8.firstInvalid(bytes, 0, bytes.length) < 0);
    }
    for (int point = 0; point <= Character.MAX_CODE_POINT; point += 7) {
      if (point < Character.MIN_SURROGATE || point > Character.MAX_SURROGATE) {
        byte[] bytes = Character.toString(point).getBytes(StandardCharsets.UTF_8);
        assertEquals(-1, Utf8.firstInvalid(bytes, 0, bytes.length));
        assertEquals(1, Utf8.characters(bytes, 0, bytes.length));
      }
    }
  }
}
