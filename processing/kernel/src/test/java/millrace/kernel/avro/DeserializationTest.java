package millrace.kernel.avro;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import java.io.InterruptedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import millrace.kernel.avro.AvroDeserialization.Metadata;
import org.apache.avro.Schema;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.util.InstantiationUtil;
import org.apache.flink.util.UserCodeClassLoader;
import org.apache.flink.util.function.ThrowingRunnable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The whole of decode as a subtask runs it: shipped, opened, asked for rows and metadata. */
class DeserializationTest {
  private static final String TEXT = Records.contract("Transaction");
  private static final Schema SCHEMA = Records.avro(TEXT);
  private static final RowType COLUMNS = Records.columns(SCHEMA);

  private final List<Counter> counters = new ArrayList<>();
  private HttpServer registry;

  @BeforeEach
  void start() throws Exception {
    registry = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    String quoted = TEXT.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
    byte[] found = ("{\"schema\": \"" + quoted + "\"}").getBytes(StandardCharsets.UTF_8);
    registry.createContext(
        "/schemas/ids/1",
        exchange -> {
          exchange.sendResponseHeaders(200, found.length);
          exchange.getResponseBody().write(found);
          exchange.close();
        });
    registry.start();
  }

  @AfterEach
  void stop() {
    registry.stop(0);
  }

  private DeserializationSchema<RowData> opened(List<Metadata> metadata) throws Exception {
    String url = "http://127.0.0.1:" + registry.getAddress().getPort();
    AvroDeserialization planned =
        new AvroDeserialization(url, List.of(TEXT), 5_000, COLUMNS, metadata, null);
    AvroDeserialization shipped = InstantiationUtil.clone(planned);
    MetricGroup group =
        new UnregisteredMetricsGroup() {
          @Override
          public Counter counter(String name) {
            Counter counter = super.counter(name);
            counters.add(counter);
            return counter;
          }
        };
    shipped.open(
        new DeserializationSchema.InitializationContext() {
          @Override
          public MetricGroup getMetricGroup() {
            return group;
          }

          @Override
          public UserCodeClassLoader getUserCodeClassLoader() {
            throw new UnsupportedOperationException();
          }
        });
    return shipped;
  }

  @Test
  void metadataFollowTheColumnsInTheOrderAskedFor() throws Exception {
    var decode = opened(List.of(Metadata.RAW, Metadata.REASON, Metadata.DETAIL));
    byte[] message = Records.write(1, Records.record(SCHEMA, new Random(1)), SCHEMA);
    RowData good = decode.deserialize(message);
    assertEquals(COLUMNS.getFieldCount() + 3, good.getArity());
    assertNotNull(good.getString(0));
    assertArrayEquals(message, good.getBinary(5));
    assertTrue(good.isNullAt(6) && good.isNullAt(7));
    byte[] junk = {9, 9, 9, 9, 9, 9};
    RowData bad = decode.deserialize(junk);
    for (int i = 0; i < COLUMNS.getFieldCount(); i++) {
      assertTrue(bad.isNullAt(i));
    }
    assertArrayEquals(junk, bad.getBinary(5));
    assertEquals(StringData.fromString("bad_magic"), bad.getString(6));
    assertEquals(StringData.fromString("first byte 9"), bad.getString(7));
    assertEquals(1, counters.get(0).getCount());
  }

  @Test
  void theRecordsNameIsToldOfWhatIsReadAndOfNothingElse() throws Exception {
    var decode = opened(List.of(Metadata.REASON, Metadata.RECORD, Metadata.RAW));
    byte[] message = Records.write(1, Records.record(SCHEMA, new Random(1)), SCHEMA);
    for (int i = 0; i < 2; i++) {
      RowData good = decode.deserialize(message);
      assertEquals(COLUMNS.getFieldCount() + 3, good.getArity());
      assertEquals(StringData.fromString("Transaction"), good.getString(6));
      assertTrue(good.isNullAt(5));
      assertArrayEquals(message, good.getBinary(7));
      RowData bad = decode.deserialize(new byte[] {9, 9, 9, 9, 9, 9});
      assertTrue(bad.isNullAt(6));
      assertEquals(StringData.fromString("bad_magic"), bad.getString(5));
    }
  }

  @Test
  void aMessageThatUnpackedIsHugeIsCut() throws Exception {
    var decode = opened(List.of(Metadata.RAW, Metadata.REASON, Metadata.DETAIL));
    for (int length : new int[] {Decoder.LONGEST + 1, 2 << 20, 5_000_000}) {
      RowData bad = decode.deserialize(new byte[length]);
      assertEquals(Math.min(length, 2 << 20), bad.getBinary(5).length);
      assertEquals(StringData.fromString("refused"), bad.getString(6));
      assertTrue(bad.getString(7).toString().startsWith(length + " bytes"), bad.toString());
    }
    byte[] largest = new byte[Decoder.LONGEST];
    largest[4] = 1;
    assertEquals(StringData.fromString("trailing_bytes"), decode.deserialize(largest).getString(6));
  }

  @Test
  void aRecordWithoutValueStillGivesARow() throws Exception {
    var decode = opened(List.of(Metadata.RAW, Metadata.REASON));
    RowData bad = decode.deserialize(null);
    assertTrue(bad.isNullAt(5));
    assertEquals(StringData.fromString("empty"), bad.getString(6));
  }

  @Test
  void withoutMetadataUnreadableRecordsAreRowsOfNulls() throws Exception {
    RowData bad = opened(List.of()).deserialize(new byte[3]);
    assertEquals(COLUMNS.getFieldCount(), bad.getArity());
    assertTrue(bad.isNullAt(0));
  }

  @Test
  void cancellingWhileTheRegistryIsAwayEndsTheCall() throws Exception {
    var decode = opened(List.of(Metadata.REASON));
    registry.stop(0);
    ThrowingRunnable<Exception> call = () -> decode.deserialize(new byte[] {0, 0, 0, 0, 1, 2});
    Thread.currentThread().interrupt();
    assertThrows(InterruptedIOException.class, call::run);
    assertTrue(Thread.interrupted(), "the flag is set again for whoever cancels");
    assertNull(decode.getProducedType());
  }
}
