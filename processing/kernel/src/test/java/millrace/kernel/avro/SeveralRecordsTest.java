package millrace.kernel.avro;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.avro.Schema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Records of several types in one topic. */
class SeveralRecordsTest {
  private static final String PAYMENT = Records.contract("Transaction");
  private static final String VERDICT = Records.contract("FraudLabel");
  private static final Schema PAYMENTS = Records.avro(PAYMENT);
  private static final Schema VERDICTS = Records.avro(VERDICT);
  private static final RowType COLUMNS = union(PAYMENTS, VERDICTS);
  private static final int PAID = 7;
  private static final int JUDGED = 8;

  /** The columns of the first, then those of the others that it lacks. */
  private static RowType union(Schema... schemas) {
    List<RowType.RowField> fields = new ArrayList<>();
    for (Schema schema : schemas) {
      for (RowType.RowField field : Records.columns(schema).getFields()) {
        if (fields.stream().noneMatch(known -> known.getName().equals(field.getName()))) {
          fields.add(field);
        }
      }
    }
    return new RowType(fields);
  }

  private static Decoder decoder(Map<Integer, String> registry, String... contracts) {
    Contracts parsed = Contracts.of(List.of(contracts));
    RowType columns = union(Arrays.stream(contracts).map(Records::avro).toArray(Schema[]::new));
    parsed.check(columns);
    return new Decoder(parsed, columns, columns.getFieldCount() + 1, registry::get, 0, () -> 0);
  }

  private static Decoder both() {
    return decoder(Map.of(PAID, PAYMENT, JUDGED, VERDICT), PAYMENT, VERDICT);
  }

  private static byte[] message(int id, Schema schema, Random random) {
    return Records.write(id, Records.record(schema, random), schema);
  }

  /** What the row holds in the columns of one schema; all others must be NULL. */
  private static GenericRowData only(GenericRowData row, Schema schema) {
    RowType own = Records.columns(schema);
    GenericRowData part = new GenericRowData(own.getFieldCount());
    for (int i = 0; i < COLUMNS.getFieldCount(); i++) {
      int at = own.getFieldIndex(COLUMNS.getFieldNames().get(i));
      if (at >= 0) {
        part.setField(at, row.getField(i));
      } else {
        assertNull(row.getField(i), COLUMNS.getFieldNames().get(i));
      }
    }
    return part;
  }

  @Test
  void twoRecordsInTurnsAreReadEachByItsOwnContract() throws IOException, InterruptedException {
    Decoder decoder = both();
    Random random = new Random(3);
    for (int i = 0; i < 1_000; i++) {
      boolean paid = random.nextBoolean();
      Schema schema = paid ? PAYMENTS : VERDICTS;
      byte[] message = message(paid ? PAID : JUDGED, schema, random);
      GenericRowData row = decoder.decode(message);
      assertNotNull(row, () -> decoder.error().getMessage());
      assertEquals(paid ? "Transaction" : "FraudLabel", decoder.record().toString());
      Compare.rows(
          Records.read(message, schema, schema), only(row, schema), Records.columns(schema));
    }
  }

  @Test
  void whatIsUnreadableOfEachIsUnreadable() throws InterruptedException {
    Decoder decoder = both();
    Random random = new Random(4);
    for (int id : new int[] {PAID, JUDGED}) {
      byte[] good = message(id, id == PAID ? PAYMENTS : VERDICTS, random);
      assertNotNull(decoder.decode(good));
      assertNull(decoder.decode(Arrays.copyOf(good, good.length - 1)));
      assertEquals(Unreadable.TRUNCATED, decoder.error().reason);
      assertNull(decoder.decode(Arrays.copyOf(good, good.length + 1)));
      assertEquals(Unreadable.TRAILING_BYTES, decoder.error().reason);
      assertNotNull(decoder.decode(good));
    }
  }

  @Test
  void theRulesAreThoseOfTheRecordsOwnContract() throws InterruptedException {
    String strict = text("A", "{'name': 's', 'type': 'string', 'minLength': 2}");
    String loose = text("B", "{'name': 's', 'type': 'string'}");
    Decoder decoder = decoder(Map.of(1, strict, 2, loose), strict, loose);
    assertNull(decoder.decode(new byte[] {0, 0, 0, 0, 1, 2, 'x'}));
    assertEquals(Unreadable.REFUSED, decoder.error().reason);
    assertNotNull(decoder.decode(new byte[] {0, 0, 0, 0, 2, 2, 'x'}));
    assertNotNull(decoder.decode(new byte[] {0, 0, 0, 0, 1, 4, 'x', 'y'}));
  }

  @Test
  void oneEvolvesAndTheOtherStays() throws InterruptedException {
    String a =
        text("A", "{'name': 'x', 'type': 'int'}, {'name': 'n', 'type': 'int', 'default': 7}");
    String older = text("A", "{'name': 'x', 'type': 'int'}, {'name': 'gone', 'type': 'string'}");
    String b = text("B", "{'name': 'y', 'type': 'int'}, {'name': 'x', 'type': ['null', 'int']}");
    Decoder decoder = decoder(Map.of(1, a, 2, older, 3, b), a, b);
    assertEquals(
        GenericRowData.of(3, 7, null, null),
        decoder.decode(new byte[] {0, 0, 0, 0, 2, 6, 4, 'o', 'k'}));
    assertEquals(
        GenericRowData.of(5, null, 4, null), decoder.decode(new byte[] {0, 0, 0, 0, 3, 8, 2, 10}));
    assertEquals(
        GenericRowData.of(3, 1, null, null), decoder.decode(new byte[] {0, 0, 0, 0, 1, 6, 2}));
  }

  @Test
  void anEvolutionThatItsContractCannotReadIsTheFaultOfThatRecordAlone()
      throws InterruptedException {
    String a = text("A", "{'name': 'x', 'type': 'int'}, {'name': 'n', 'type': 'int'}");
    String newer = text("A", "{'name': 'x', 'type': 'int'}");
    String b = text("B", "{'name': 'x', 'type': 'int'}");
    Decoder decoder = decoder(Map.of(1, newer, 2, b), a, b);
    assertNull(decoder.decode(new byte[] {0, 0, 0, 0, 1, 2}));
    assertEquals("schema 1: field n is missing and has no default", decoder.error().getMessage());
    assertEquals(GenericRowData.of(1, null, null), decoder.decode(new byte[] {0, 0, 0, 0, 2, 2}));
  }

  @Test
  void anAliasNamesTheContractToo() throws InterruptedException {
    String a = text("A", "{'name': 'x', 'type': 'int'}");
    String b =
        text("B", "{'name': 'y', 'type': 'int'}")
            .replace("\"fields\"", "\"aliases\": [\"o.Old\"], \"fields\"");
    String old = text("Old", "{'name': 'y', 'type': 'int'}");
    Decoder decoder = decoder(Map.of(1, old), a, b);
    assertEquals(GenericRowData.of(null, 1, null), decoder.decode(new byte[] {0, 0, 0, 0, 1, 2}));
    assertEquals("B", decoder.record().toString(), "the name of the contract, not the writer's");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "{\"type\":\"record\",\"name\":\"z.C\",\"fields\":[]}| a z.C, none of "
            + "millrace.Transaction, millrace.FraudLabel",
        "\"string\"| a string, none of millrace.Transaction, millrace.FraudLabel",
      })
  void aNameThatNoContractHasIsIncompatible(String writer, String why) throws InterruptedException {
    Decoder decoder = decoder(Map.of(1, writer, PAID, PAYMENT), PAYMENT, VERDICT);
    for (int i = 0; i < 2; i++) {
      assertNull(decoder.decode(new byte[] {0, 0, 0, 0, 1, 2, 'x'}));
      assertEquals(Unreadable.INCOMPATIBLE_SCHEMA, decoder.error().reason);
      assertEquals("schema 1: " + why, decoder.error().getMessage());
      assertNotNull(decoder.decode(message(PAID, PAYMENTS, new Random(1))));
    }
  }

  private static String text(String name, String fields) {
    return ("{'type': 'record', 'name': '" + name + "', 'fields': [" + fields + "]}")
        .replace('\'', '"');
  }

  private static String refusal(DataTypes.Field column, String... contracts) {
    Contracts parsed = Contracts.of(List.of(contracts));
    RowType columns = (RowType) DataTypes.ROW(column).getLogicalType();
    return assertThrows(ValidationException.class, () -> parsed.check(columns)).getMessage();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "'int'| 'long'| INT| BIGINT",
        "'string'| ['null', 'double']| STRING| DOUBLE",
        "'long'| {'type': 'long', 'logicalType': 'timestamp-millis'}| BIGINT| TIMESTAMP(3)",
        "{'type': 'array', 'items': 'int'}| 'int'| ARRAY<INT>| INT",
        "{'type': 'map', 'values': 'int'}| {'type': 'map', 'values': 'long'}| MAP<STRING, INT>| "
            + "MAP<STRING, BIGINT>",
        "{'type': 'record', 'name': 'N', 'fields': [{'name': 'n', 'type': ['null', 'N']}]}| 'int'|"
            + " ROW<n m.N>| INT",
      })
  void aColumnOfTwoTypesIsRefused(String first, String second, String one, String other) {
    DataTypes.Field column = DataTypes.FIELD("x", DataTypes.BIGINT());
    String a = text("m.A", "{'name': 'x', 'type': " + first + "}");
    String b = text("m.B", "{'name': 'x', 'type': " + second + "}");
    String c = text("m.C", "{'name': 'y', 'type': 'string'}");
    assertEquals(
        "Column 'x' is " + one + " in m.A and " + other + " in m.B", refusal(column, c, a, b));
  }

  @Test
  void aColumnMustBeAFieldOfOneAndFitIt() {
    assertEquals(
        "Column 'nope' is no field of millrace.Transaction or millrace.FraudLabel",
        refusal(DataTypes.FIELD("nope", DataTypes.STRING()), PAYMENT, VERDICT));
    assertEquals(
        "Column 'is_fraud' of type STRING can't hold Avro's boolean",
        refusal(DataTypes.FIELD("is_fraud", DataTypes.STRING()), PAYMENT, VERDICT));
    Contracts.of(List.of(PAYMENT, VERDICT)).check(COLUMNS);
  }

  @Test
  void nullabilityIsNoType() {
    String a = text("A", "{'name': 'x', 'type': 'int'}");
    String b = text("B", "{'name': 'x', 'type': ['null', 'int']}");
    RowType columns =
        (RowType) DataTypes.ROW(DataTypes.FIELD("x", DataTypes.INT())).getLogicalType();
    Contracts.of(List.of(a, b)).check(columns);
  }

  private static String refusedOptions(String schema, String schemas) {
    Configuration options = new Configuration();
    options.setString("url", "http://localhost:8081");
    if (schema != null) {
      options.setString("schema", schema);
    }
    if (schemas != null) {
      options.setString("schemas", schemas);
    }
    return assertThrows(
            ValidationException.class,
            () -> new AvroFormatFactory().createDecodingFormat(null, options))
        .getMessage();
  }

  @Test
  void optionsThatMakeNoSenseAreRefused() {
    String array = "[" + PAYMENT + "]";
    assertEquals(
        "Either 'millrace-avro.schema' or 'millrace-avro.schemas' must be given, not both.",
        refusedOptions(PAYMENT, array));
    assertEquals(
        "Either 'millrace-avro.schema' or 'millrace-avro.schemas' must be given.",
        refusedOptions(null, null));
    assertTrue(
        refusedOptions(null, PAYMENT).endsWith("can't be read: no JSON array of record schemas"));
    assertTrue(refusedOptions(null, "[]").endsWith("no JSON array of record schemas"));
    assertTrue(
        refusedOptions(null, "[").startsWith("'millrace-avro.schemas' can't be read: no JSON: "));
    assertTrue(refusedOptions(null, "[\"nope\"]").endsWith("unknown type \"nope\""));
    assertTrue(
        refusedOptions(null, "[\"string\", " + PAYMENT + "]").endsWith("string is no record"));
    assertTrue(
        refusedOptions(null, "[" + text("a.R", "") + "," + text("b.R", "") + "]")
            .endsWith("two records are named R"));
    String alias = text("S", "").replace("\"fields\"", "\"aliases\": [\"R\"], \"fields\"");
    assertTrue(
        refusedOptions(null, "[" + text("R", "") + "," + alias + "]")
            .endsWith("two records answer to the name R"));
  }

  @Test
  void aSinkWritesOneRecordType() {
    Configuration options = new Configuration();
    options.setString("url", "http://localhost:8081");
    options.setString("subject", "s");
    options.setString("schemas", "[" + PAYMENT + "," + VERDICT + "]");
    String message =
        assertThrows(
                ValidationException.class,
                () -> new AvroFormatFactory().createEncodingFormat(null, options))
            .getMessage();
    assertEquals("A sink needs 'millrace-avro.schema'.", message);
  }

  @Test
  void theNameCanBeReadAsMetadata() {
    Configuration options = new Configuration();
    options.setString("url", "http://localhost:8081");
    options.setString("schemas", "[" + PAYMENT + "," + VERDICT + "]");
    assertEquals(
        DataTypes.STRING(),
        new AvroFormatFactory()
            .createDecodingFormat(null, options)
            .listReadableMetadata()
            .get("record"));
  }
}
