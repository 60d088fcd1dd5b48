package millrace.kernel.avro;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.Random;
import org.apache.avro.AvroTypeException;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A record written under another schema than the one it is read as; Apache Avro says what should
 * come out.
 */
class EvolutionTest {
  private static final String MILLIS = "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}";
  private static final String ABC =
      "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a\",\"b\",\"c\"]}";

  private static String record(String fields) {
    return "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" + fields + "]}";
  }

  private static String field(String type) {
    String full = type.replace("MILLIS", MILLIS).replace("ABC", ABC);
    return record("{\"name\":\"x\",\"type\":" + full + "},{\"name\":\"last\",\"type\":\"int\"}");
  }

  private static Decoder decoder(String writer, String reader) {
    RowType columns = Records.columns(Records.avro(reader));
    return new Decoder(
        Contracts.of(List.of(reader)), columns, columns.getFieldCount(), id -> writer, 0, () -> 0);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'int'|'long'",
        "'int'|'float'",
        "'int'|'double'",
        "'long'|'float'",
        "'long'|'double'",
        "'float'|'double'",
        "'int'|MILLIS",
        "MILLIS|'long'",
        "'string'|'bytes'",
        "'double'|['null','double']",
        "['null','int']|['double','null']",
        "['double','null','int']|['null','double']",
        "['null','string']|['string','null']",
        "{'type':'array','items':'float'}|{'type':'array','items':'double'}",
        "{'type':'array','items':'int'}|{'type':'array','items':['null','long']}",
        "{'type':'map','values':'float'}|{'type':'map','values':'double'}",
        "{'type':'enum','name':'E','symbols':['c','a']}|ABC",
        "{'type':'enum','name':'E','symbols':['z']}|"
            + "{'type':'enum','name':'E','symbols':['a','b'],'default':'b'}",
        "{'type':'record','name':'N','fields':[{'name':'p','type':'int'},{'name':'q',"
            + "'type':'string'}]}"
            + "|{'type':'record','name':'N','fields':[{'name':'q','type':'string'},{'name':'r',"
            + "'type':'long','default':5}]}",
      },
      quoteCharacter = '~')
  void resolvesAsAvroDoes(String writerType, String readerType)
      throws IOException, InterruptedException {
    String writer = field(writerType.replace('\'', '"'));
    String reader = field(readerType.replace('\'', '"'));
    Schema writerSchema = Records.avro(writer);
    Schema readerSchema = Records.avro(reader);
    Decoder decoder = decoder(writer, reader);
    Random random = new Random(5);
    for (int i = 0; i < 200; i++) {
      byte[] message = Records.write(1, Records.record(writerSchema, random), writerSchema);
      GenericRowData row = decoder.decode(message);
      assertNotNull(row, () -> decoder.error().getMessage());
      Compare.rows(
          Records.read(message, writerSchema, readerSchema), row, Records.columns(readerSchema));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "-62135596800000, true",
    "-62135596800001, false",
    "253402300799999, true",
    "253402300800000, false",
    "1760000000000000, false", // microseconds
    "-9223372036854775808, false",
    "9223372036854775807, false"
  })
  void aTimeLiesInTheYears1To9999(long time, boolean inRange) throws InterruptedException {
    for (String writer : List.of(field("\"long\""), field("MILLIS"), field("[\"null\", MILLIS]"))) {
      for (String reader : List.of(field("MILLIS"), field("[\"null\", MILLIS]"))) {
        Schema schema = Records.avro(writer);
        GenericRecord record = new GenericData.Record(schema);
        record.put("x", time);
        record.put("last", 1);
        Decoder decoder = decoder(writer, reader);
        GenericRowData row = decoder.decode(Records.write(1, record, schema));
        if (inRange) {
          assertEquals(time, row.getTimestamp(0, 3).getMillisecond());
        } else {
          assertNull(row);
          assertEquals(Unreadable.REFUSED, decoder.error().reason);
          assertEquals("x is out of range: " + time, decoder.error().getMessage());
        }
      }
    }
  }

  @Test
  void finerTimesHaveTheSameRange() {
    assertTrue(Timestamps.inRange(253_402_300_799_999_999L, 6));
    assertTrue(!Timestamps.inRange(253_402_300_800_000_000L, 6));
    assertTrue(!Timestamps.inRange(-62_135_596_800_000_001L, 6));
    assertTrue(Timestamps.inRange(Long.MIN_VALUE, 9) && Timestamps.inRange(Long.MAX_VALUE, 9));
  }

  @Test
  void aFieldThatTwoWouldReadIsIncompatible() throws InterruptedException {
    String writer = record("{\"name\":\"x\",\"type\":\"int\"}");
    String reader =
        record(
            "{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"y\",\"type\":\"int\","
                + "\"aliases\":[\"x\"]}");
    Decoder decoder = decoder(writer, reader);
    assertNull(decoder.decode(new byte[] {0, 0, 0, 0, 1, 2}));
    assertEquals(Unreadable.INCOMPATIBLE_SCHEMA, decoder.error().reason);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'long'|'int'",
        "'double'|'float'",
        "'double'|'long'",
        "'string'|'double'",
        "'boolean'|'int'",
        "'null'|'int'",
        "{'type':'array','items':'string'}|{'type':'array','items':'int'}",
        "'string'|{'type':'map','values':'string'}",
        "{'type':'enum','name':'E','symbols':['z']}|ABC",
        "['null','string']|['null','long']",
        "{'type':'fixed','name':'F','size':3}|{'type':'fixed','name':'F','size':4}",
        "{'type':'record','name':'N','fields':[]}|"
            + "{'type':'record','name':'N','fields':[{'name':'p','type':'int'}]}",
      },
      quoteCharacter = '~')
  void whatAvroRefusesIsIncompatible(String writerType, String readerType)
      throws InterruptedException {
    String writer = field(writerType.replace('\'', '"'));
    String reader = field(readerType.replace('\'', '"'));
    Schema writerSchema = Records.avro(writer);
    Decoder decoder = decoder(writer, reader);
    Random random = new Random(5);
    for (int i = 0; i < 50; i++) {
      byte[] message = Records.write(1, Records.record(writerSchema, random), writerSchema);
      boolean readable = readable(message, writerSchema, Records.avro(reader));
      GenericRowData row = decoder.decode(message);
      if (!readable) {
        assertNull(row);
        assertEquals(Unreadable.INCOMPATIBLE_SCHEMA, decoder.error().reason);
        assertTrue(decoder.error().getMessage().contains("x"), decoder.error().getMessage());
        return;
      }
    }
    throw new AssertionError("Apache Avro reads all of it");
  }

  private static boolean readable(byte[] message, Schema writer, Schema reader) {
    try {
      Records.read(message, writer, reader);
      return true;
    } catch (AvroTypeException | IOException e) {
      return false;
    }
  }

  /** Apache Avro 1.12 reads these by way of float and loses digits. */
  @Test
  void intsInArraysBecomeExactDoubles() throws InterruptedException {
    Decoder decoder =
        decoder(
            field("{\"type\":\"array\",\"items\":\"int\"}"),
            field("{\"type\":\"array\",\"items\":\"double\"}"));
    Schema writer = Records.avro(field("{\"type\":\"array\",\"items\":\"int\"}"));
    GenericRecord record = new GenericData.Record(writer);
    record.put("x", List.of(189_625_046, 3));
    record.put("last", 0);
    GenericRowData row = decoder.decode(Records.write(1, record, writer));
    assertEquals(new GenericArrayData(new Object[] {189_625_046.0, 3.0}), row.getField(0));
  }

  @Test
  void fieldsComeAndGo() throws IOException, InterruptedException {
    String writer =
        record(
            "{\"name\":\"gone\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"map\","
                + "\"values\":[\"null\",\"double\",\"string\"]}}},"
                + "{\"name\":\"kept\",\"type\":\"string\"},{\"name\":\"old\",\"type\":\"int\"}");
    String reader =
        record(
            "{\"name\":\"new\",\"type\":\"string\",\"default\":\"fresh\"},"
                + "{\"name\":\"renamed\",\"type\":\"int\",\"aliases\":[\"old\"]},"
                + "{\"name\":\"kept\",\"type\":\"string\"},"
                + "{\"name\":\"none\",\"type\":[\"null\",\"double\"],\"default\":null},"
                + "{\"name\":\"since\",\"type\":"
                + MILLIS
                + ",\"default\":1500},"
                + "{\"name\":\"tags\",\"type\":{\"type\":\"array\",\"items\":\"string\"},"
                + "\"default\":[\"t\"]},"
                + "{\"name\":\"facts\",\"type\":{\"type\":\"map\",\"values\":\"long\"},"
                + "\"default\":{\"k\":3}}");
    Schema writerSchema = Records.avro(writer);
    Random random = new Random(9);
    Decoder decoder = decoder(writer, reader);
    for (int i = 0; i < 200; i++) {
      byte[] message = Records.write(1, Records.record(writerSchema, random), writerSchema);
      GenericRowData row = decoder.decode(message);
      assertNotNull(row, () -> decoder.error().getMessage());
      Schema readerSchema = Records.avro(reader);
      Compare.rows(
          Records.read(message, Schema.applyAliases(writerSchema, readerSchema), readerSchema),
          row,
          Records.columns(readerSchema));
    }
  }

  @Test
  void aNullableFieldNeedsNoDefault() throws InterruptedException {
    String reader =
        record("{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"y\",\"type\":[\"null\",\"int\"]}");
    GenericRowData row =
        decoder(record("{\"name\":\"x\",\"type\":\"int\"}"), reader)
            .decode(new byte[] {0, 0, 0, 0, 1, 2});
    assertEquals(GenericRowData.of(1, null), row);
  }

  @Test
  void aFieldThatNobodyReadsIsNeededAllTheSame() throws InterruptedException {
    String reader = record("{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"y\",\"type\":\"int\"}");
    String writer = record("{\"name\":\"x\",\"type\":\"int\"}");
    RowType onlyX = Records.columns(Records.avro(writer));
    Decoder decoder =
        new Decoder(Contracts.of(List.of(reader)), onlyX, 1, id -> writer, 0, () -> 0);
    assertNull(decoder.decode(new byte[] {0, 0, 0, 0, 1, 2}));
    assertEquals("schema 1: field y is missing and has no default", decoder.error().getMessage());
  }

  @Test
  void anotherRecordIsIncompatible() throws InterruptedException {
    Decoder decoder = decoder(Records.contract("FraudLabel"), Records.contract("Transaction"));
    Schema label = Records.avro(Records.contract("FraudLabel"));
    assertNull(decoder.decode(Records.write(1, Records.record(label, new Random(1)), label)));
    assertEquals(Unreadable.INCOMPATIBLE_SCHEMA, decoder.error().reason);
    assertTrue(
        decoder.error().getMessage().contains("millrace.FraudLabel, not a millrace.Transaction"));
  }

  @Test
  void timesOfAnotherUnitAreIncompatible() throws InterruptedException {
    String writer = field(MILLIS.replace("millis", "micros"));
    Decoder decoder = decoder(writer, field(MILLIS));
    assertNull(decoder.decode(new byte[] {0, 0, 0, 0, 1, 2, 2}));
    assertEquals(Unreadable.INCOMPATIBLE_SCHEMA, decoder.error().reason);
  }

  @Test
  void aBranchThatCannotBeReadFailsOnlyWhenMet() throws InterruptedException {
    Decoder decoder = decoder(field("[\"string\",\"int\"]"), field("\"int\""));
    assertEquals(GenericRowData.of(4, 1), decoder.decode(new byte[] {0, 0, 0, 0, 1, 2, 8, 2}));
    assertNull(decoder.decode(new byte[] {0, 0, 0, 0, 1, 0, 2, 'a', 2}));
    assertEquals(Unreadable.INCOMPATIBLE_SCHEMA, decoder.error().reason);
    assertEquals(GenericRowData.of(4, 1), decoder.decode(new byte[] {0, 0, 0, 0, 1, 2, 8, 2}));
  }

  @Test
  void recursiveRecordsAreSteppedOver() throws InterruptedException {
    String tree =
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"children\","
            + "\"type\":{\"type\":\"array\",\"items\":\"T\"}}]}";
    Decoder decoder =
        decoder(
            record("{\"name\":\"t\",\"type\":" + tree + "},{\"name\":\"x\",\"type\":\"int\"}"),
            record("{\"name\":\"x\",\"type\":\"int\"}"));
    assertEquals(
        GenericRowData.of(1), decoder.decode(new byte[] {0, 0, 0, 0, 1, 2, 2, 0, 0, 0, 2}));
    byte[] deep = new byte[3_000];
    java.util.Arrays.fill(deep, 5, deep.length, (byte) 2);
    deep[4] = 1;
    assertNull(decoder.decode(deep));
    assertEquals(Unreadable.MALFORMED, decoder.error().reason);
  }

  @Test
  void encodeNamesTheFieldItCannotWrite() {
    RowType columns = Records.columns(Records.avro(field(ABC)));
    AvroSerialization encoder = new AvroSerialization("http://none", "s", field(ABC), columns);
    encoder.open(1);
    String unknown =
        assertThrows(
                IllegalArgumentException.class,
                () -> encoder.serialize(GenericRowData.of(StringData.fromString("q"), 1)))
            .getMessage();
    assertEquals("Field x: \"q\" is none of [a, b, c]", unknown);
    String missing =
        assertThrows(
                IllegalArgumentException.class, () -> encoder.serialize(GenericRowData.of(null, 1)))
            .getMessage();
    assertEquals("Field x must not be NULL", missing);
    assertEquals(7, encoder.serialize(GenericRowData.of(StringData.fromString("c"), 1)).length);
  }
}
