package millrace.kernel.avro;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Why a record can't be read; and that nothing a record holds makes the reader throw. */
class ReasonsTest {
  private static final String SCHEMA =
      """
      {"type": "record", "name": "R", "fields": [
        {"name": "id", "type": "string", "minLength": 2},
        {"name": "amount", "type": ["null", "double"]},
        {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["a", "b"]}},
        {"name": "flag", "type": "boolean"},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "count", "type": "int"},
        {"name": "facts", "type": {"type": "map", "values": "float"}}]}
      """;
  private static final Set<String> KNOWN =
      Set.of(
          "empty",
          "short",
          "bad_magic",
          "unknown_schema",
          "truncated",
          "trailing_bytes",
          "malformed",
          "incompatible_schema",
          "refused");

  private final Map<Integer, String> registered = new HashMap<>(Map.of(1, SCHEMA));
  private final AtomicLong clock = new AtomicLong();
  private int asked;

  private final Decoder decoder = decoder(SCHEMA);

  private Decoder decoder(String text) {
    return decoder(text, this::schema);
  }

  private Decoder decoder(String text, Decoder.Schemas schemas) {
    RowType columns = Records.columns(Records.avro(text));
    return new Decoder(
        Contracts.of(List.of(text)), columns, columns.getFieldCount(), schemas, 5_000, clock::get);
  }

  private String schema(int id) {
    asked++;
    if (!registered.containsKey(id)) {
      throw new Unreadable(Unreadable.UNKNOWN_SCHEMA, "id " + id);
    }
    return registered.get(id);
  }

  private String reason(byte[] message) throws InterruptedException {
    assertNull(decoder.decode(message));
    return decoder.error().reason;
  }

  @Test
  void headers() throws InterruptedException {
    assertEquals("empty", reason(null));
    assertEquals("empty", reason(new byte[0]));
    assertEquals("short", reason(new byte[] {0, 0, 0, 0}));
    assertEquals("bad_magic", reason(new byte[] {'{', '"', 'a', '"', ':', '1', '}'}));
    assertEquals("unknown_schema", reason(new byte[] {0, 0, 0, 0, 9}));
    assertEquals("unknown_schema", reason(new byte[] {0, -1, 0, 0, 1}));
    assertEquals(1, asked, "a negative id is never asked for");
  }

  /**
   * Body: id "ab", amount null, kind a, flag true, no tags, count 0, no facts; one part of it
   * changed.
   */
  @ParameterizedTest
  @CsvSource({
    "04 6162 00 00 01 00 00 00, '', ''",
    "04 6162 00 00 01 00 00 00 00, trailing_bytes, '1 bytes after the record'",
    "04 6162 00 00 01 00 00, truncated, 'facts: needs 1 bytes at offset 13, has 0'",
    "04 61, truncated, 'id: needs 2 bytes at offset 6, has 1'",
    "03, malformed, 'id: negative length -2'",
    "FEFFFFFFFFFFFFFFFF01, malformed, 'id: absurd length 9223372036854775807'",
    "FFFFFFFFFFFFFFFFFF02, malformed, 'id: varint beyond 64 bits'",
    "FFFFFFFFFFFFFFFFFFFF01, malformed, 'id: varint longer than 10 bytes'",
    "04 C328 00 00 01 00 00 00, malformed, 'id: invalid UTF-8 at byte 0 of 2'",
    "06 EDA080 00 00 01 00 00 00, malformed, 'id: invalid UTF-8 at byte 0 of 3'",
    "04 C080 00 00 01 00 00 00, malformed, 'id: invalid UTF-8 at byte 0 of 2'",
    "04 6162 04 00 01 00 00 00, malformed, 'amount: branch 2 of 2'",
    "04 6162 01 00 01 00 00 00, malformed, 'amount: branch -1 of 2'",
    "04 6162 00 04 01 00 00 00, malformed, 'kind: symbol 2 of 2'",
    "04 6162 00 00 02 00 00 00, malformed, 'flag: boolean of value 2'",
    "04 6162 00 00 01 8080808080808001 00 00, malformed, 'tags: absurd item count 281474976710656'",
    "04 6162 00 00 01 C8 01 00 00, truncated, 'tags: needs 100 bytes at offset 13, has 2'",
    "04 6162 00 00 01 FFFFFFFFFFFFFFFFFF01 00, malformed, 'tags: absurd item count'",
    "04 6162 00 00 01 02 03 00 00, malformed, 'tags: negative length -2'",
    "04 6162 00 00 01 00 8080808010 00, malformed, 'count: int of value 2147483648'",
    "04 6162 00 00 01 00 00 02 0261 0000C07F 00, refused, 'facts{} is NaN'",
    "04 6162 02 000000000000F07F 00 01 00 00 00, refused, 'amount is Infinity'",
    "02 61 00 00 01 00 00 00, refused, 'id is shorter than 2'",
    "04 C3A9 00 00 01 00 00 00, refused, 'id is shorter than 2'",
    "02 61 00 00 01 00 00, truncated, 'facts: needs 1 bytes at offset 12, has 0'",
  })
  void bodies(String hex, String reason, String detail) throws InterruptedException {
    byte[] body = HexFormat.of().parseHex(hex.replace(" ", ""));
    byte[] message = ByteBuffer.allocate(5 + body.length).put((byte) 0).putInt(1).put(body).array();
    GenericRowData row = decoder.decode(message);
    assertEquals(reason.isEmpty(), row != null);
    if (row == null) {
      assertEquals(reason, decoder.error().reason);
      assertEquals(detail, decoder.error().getMessage());
    } else {
      assertNull(decoder.error());
    }
  }

  @Test
  void unknownIdsAreAskedForAgainAfterAWhile() throws InterruptedException {
    Schema schema = Records.avro(SCHEMA);
    GenericRecord record = Records.record(schema, new Random(3));
    record.put("id", "long enough");
    byte[] message = Records.write(2, record, schema);
    assertEquals("unknown_schema", reason(message));
    registered.put(2, SCHEMA);
    clock.set(4_999);
    assertEquals("unknown_schema", reason(message));
    assertEquals(1, asked);
    clock.set(5_000);
    assertNotNull(decoder.decode(message));
    assertNotNull(decoder.decode(message));
    assertEquals(2, asked);
  }

  @Test
  void whatTheRegistrySaysOfASchemaStays() throws InterruptedException {
    Decoder other =
        decoder(
            SCHEMA,
            id -> {
              asked++;
              throw Unreadable.incompatible("schema " + id + " is PROTOBUF");
            });
    for (int i = 0; i < 3; i++) {
      assertNull(other.decode(new byte[] {0, 0, 0, 0, 1, 2}));
      assertEquals("incompatible_schema", other.error().reason);
      clock.addAndGet(4_000);
    }
    assertEquals(1, asked);
  }

  @Test
  void aFailingRegistryClientIsNoFaultOfTheRecord() {
    Decoder other =
        decoder(
            SCHEMA,
            id -> {
              throw new IllegalStateException("no such scheme");
            });
    assertThrows(IllegalStateException.class, () -> other.decode(new byte[] {0, 0, 0, 0, 1, 2}));
  }

  @Test
  void schemasThatAreNoneAreIncompatible() throws InterruptedException {
    int id = 10;
    for (String text :
        List.of(
            "",
            "{",
            "[]",
            "42",
            "\"string\"",
            "{\"type\": \"record\"}",
            "{\"type\": \"record\", \"name\": \"R\"}",
            "{\"type\": \"record\", \"name\": \"R\", \"fields\": [{\"name\": \"id\", \"type\": "
                + "\"nope\"}]}",
            "{\"type\": \"record\", \"name\": \"R\", \"fields\": 3}",
            "[".repeat(100_000))) {
      registered.put(++id, text);
      assertEquals("incompatible_schema", reason(new byte[] {0, 0, 0, 0, (byte) id, 2}), text);
    }
  }

  @Test
  void neverThrows() throws InterruptedException {
    for (String text : ContractsTest.schemas()) {
      registered.put(1, text);
      Schema schema = Records.avro(text);
      Decoder fresh = decoder(text);
      Random random = new Random(11);
      Set<String> seen = new TreeSet<>();
      for (int i = 0; i < 20_000; i++) {
        byte[] message =
            i % 2 == 0
                ? noise(random)
                : flipped(Records.write(1, Records.record(schema, random), schema), random);
        if (fresh.decode(message) == null) {
          assertTrue(KNOWN.contains(fresh.error().reason));
          assertTrue(
              !fresh.error().getMessage().startsWith("reader failed"), fresh.error().getMessage());
          seen.add(fresh.error().reason);
        }
      }
      assertTrue(seen.size() >= 3, () -> "saw only " + seen);
    }
  }

  private static byte[] noise(Random random) {
    byte[] message = new byte[5 + random.nextInt(120)];
    random.nextBytes(message);
    if (random.nextInt(10) > 0) {
      ByteBuffer.wrap(message).put((byte) 0).putInt(1);
    }
    return message;
  }

  private static byte[] flipped(byte[] message, Random random) {
    for (int i = 1 + random.nextInt(3); i > 0; i--) {
      message[5 + random.nextInt(message.length - 5)] ^= (byte) (1 << random.nextInt(8));
    }
    return message;
  }
}
