package millrace.kernel.avro;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every contract of the project, and one with every type, against Apache Avro both ways. */
class ContractsTest {
  private static final String EVERY_TYPE =
      """
      {"type": "record", "name": "Every", "namespace": "a.b", "fields": [
        {"name": "bool", "type": "boolean"}, {"name": "i", "type": "int"},
        {"name": "l", "type": "long"},
        {"name": "f", "type": "float"}, {"name": "d", "type": "double"},
        {"name": "s", "type": "string"},
        {"name": "b", "type": "bytes"},
        {"name": "millis", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "micros", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["X", "Y", "Z"]}},
        {"name": "again", "type": ["E", "null"]},
        {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 7}},
        {"name": "array", "type": {"type": "array", "items": ["null", "double"]}},
        {"name": "map", "type": ["null", {"type": "map", "values": "string"}]},
        {"name": "nested", "type": {"type": "record", "name": "N", "fields": [
          {"name": "x", "type": ["null", "long"]},
          {"name": "ys", "type": {"type": "array", "items": "a.b.F"}}]}}]}
      """;

  static List<String> schemas() {
    List<String> all = new java.util.ArrayList<>(Records.contracts());
    all.add(EVERY_TYPE);
    return all;
  }

  @Test
  void findsTheContracts() {
    assertTrue(Records.contracts().size() >= 9);
  }

  @ParameterizedTest
  @MethodSource("schemas")
  void readsWhatAvroWritesAndWritesTheSameBytes(String text)
      throws IOException, InterruptedException {
    Schema schema = Records.avro(text);
    RowType columns = Records.columns(schema);
    Columns.check(AvroSchema.parse(text), columns);
    Decoder decoder =
        new Decoder(
            Contracts.of(List.of(text)), columns, columns.getFieldCount(), id -> text, 0, () -> 0);
    AvroSerialization encoder = new AvroSerialization("http://none", "none", text, columns);
    encoder.open(1234567);
    Random random = new Random(text.hashCode());
    for (int i = 0; i < 500; i++) {
      byte[] written = Records.write(1234567, Records.record(schema, random), schema);
      GenericRowData row = decoder.decode(written);
      assertNotNull(row, () -> decoder.error().reason + ": " + decoder.error().getMessage());
      Compare.rows(Records.read(written, schema, schema), row, columns);
      byte[] again = encoder.serialize(row);
      GenericRecord read = Records.read(again, schema, schema);
      assertEquals(Records.read(written, schema, schema), read);
      if (columns.getChildren().stream().noneMatch(type -> type.toString().startsWith("MAP"))) {
        assertArrayEquals(written, again);
      }
    }
  }

  @Test
  void everyByteOfEveryContractCountsWhenCut() throws InterruptedException {
    for (String text : schemas()) {
      Schema schema = Records.avro(text);
      RowType columns = Records.columns(schema);
      Decoder decoder =
          new Decoder(
              Contracts.of(List.of(text)),
              columns,
              columns.getFieldCount(),
              Map.of(1, text)::get,
              0,
              () -> 0);
      byte[] whole = Records.write(1, Records.record(schema, new Random(7)), schema);
      for (int length = 5; length < whole.length; length++) {
        assertEquals(null, decoder.decode(java.util.Arrays.copyOf(whole, length)));
        assertEquals(Unreadable.TRUNCATED, decoder.error().reason);
      }
      assertEquals(null, decoder.decode(java.util.Arrays.copyOf(whole, whole.length + 1)));
      assertEquals(Unreadable.TRAILING_BYTES, decoder.error().reason);
    }
  }
}
