package millrace.kernel.batch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import millrace.kernel.spec.SpecException;
import org.junit.jupiter.api.Test;

/** Rows in, numbers out: two chained sets, what goes on from one to the next, what breaks off. */
class BatchRunTest {
  private static final String SPEC =
      "{'version': 1, 'name': '%s', 'time': 'ts', 'id': 'id', %s"
          + " 'windows': {'w': {'tile_ms': 10, 'tiles': 3}}, 'features': [%s]}";
  private static final String FIRST =
      SPEC.formatted(
          "a",
          "'pass': [{'column': 'who', 'op': 'null'}],",
          "{'name': 'rows', 'aggregate': 'count', 'window': 'w'}");
  private static final String SECOND =
      SPEC.formatted(
          "b",
          "'emit': [{'column': 'who', 'op': 'notnull'}],",
          "{'name': 'most', 'aggregate': 'max', 'window': 'w', 'column': 'rows'},"
              + "{'name': 'all', 'aggregate': 'count', 'window': 'w'}");

  /** A row; {@code who} is null for one that passes the first set and updates the second. */
  private record Event(long ts, String id, String who, double x) {}

  private static String plan(int workers, String outputs) {
    return ("{'columns': [['ts', 'TIMESTAMP'], ['id', 'STRING'], ['who', 'STRING'], ['where',"
            + " 'STRING'], ['x', 'DOUBLE']], 'workers': %d, 'outputs': [%s], 'sets': ["
            + "{'key': ['who'], 'spec': %s}, {'key': ['where', 'where'], 'spec': %s}]}\n")
        .formatted(workers, outputs, FIRST, SECOND)
        .replace('\'', '"');
  }

  private static byte[] chunk(List<Event> events) {
    ByteBuffer out = ByteBuffer.allocate(10_000).order(ByteOrder.LITTLE_ENDIAN);
    out.putInt(events.size());
    out.put(new byte[events.size()]);
    events.forEach(event -> out.putLong(event.ts));
    texts(out, events.stream().map(Event::id).toList());
    texts(out, events.stream().map(Event::who).toList());
    texts(out, events.stream().map(event -> "shop").toList());
    out.put(new byte[events.size()]);
    events.forEach(event -> out.putDouble(event.x));
    return Arrays.copyOf(out.array(), out.position());
  }

  private static void texts(ByteBuffer out, List<String> texts) {
    texts.forEach(text -> out.put((byte) (text == null ? 1 : 0)));
    int end = 0;
    List<byte[]> bytes =
        texts.stream()
            .map(text -> (text == null ? "" : text).getBytes(StandardCharsets.UTF_8))
            .toList();
    for (byte[] text : bytes) {
      end += text.length;
      out.putInt(end);
    }
    bytes.forEach(out::put);
  }

  private static ByteBuffer run(String plan, byte[]... chunks) throws Exception {
    ByteArrayOutputStream in = new ByteArrayOutputStream();
    in.write(plan.getBytes(StandardCharsets.UTF_8));
    for (byte[] chunk : chunks) {
      in.write(chunk);
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    BatchRun.run(new ByteArrayInputStream(in.toByteArray()), out);
    return ByteBuffer.wrap(out.toByteArray()).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void assertAnswer(ByteBuffer answer, int[] places, double[]... values) {
    assertEquals(places.length, answer.getInt());
    for (int place : places) {
      assertEquals(place, answer.getInt());
    }
    for (double[] expected : values) {
      double[] row = new double[expected.length];
      Arrays.setAll(row, i -> answer.getDouble());
      assertArrayEquals(expected, row);
    }
  }

  @Test
  void whatIsNewAndEmittedIsAnswered() throws Exception {
    for (int workers : new int[] {1, 3}) {
      ByteBuffer answers =
          run(
              plan(workers, "'x', 'rows', 'most', 'all', 'b_late'"),
              chunk(
                  List.of(
                      new Event(100, "1", "ä", -0.0),
                      new Event(101, "2", "ä", 2),
                      new Event(101, "2", "ä", 2),
                      new Event(102, "3", null, 3))),
              chunk(List.of()),
              chunk(List.of(new Event(103, "4", "c", 4), new Event(1, "5", "c", 5))));
      assertAnswer(
          answers, new int[] {0, 1}, new double[] {-0.0, 1, 1, 1, 0}, new double[] {2, 2, 2, 2, 0});
      assertAnswer(answers, new int[] {});
      double none = Double.NaN;
      assertAnswer(
          answers,
          new int[] {0, 1},
          new double[] {4, 1, 2, 4, 0},
          new double[] {5, none, none, none, 1});
      assertEquals(0, answers.remaining());
    }
  }

  @Test
  void whatBreaksOffIsTold() {
    byte[] whole = chunk(List.of(new Event(1, "1", "a", 1)));
    byte[] part = Arrays.copyOf(whole, whole.length - 1);
    assertThrows(EOFException.class, () -> run(plan(1, "'x'"), part));
    assertThrows(EOFException.class, () -> run("{"));
  }

  @Test
  void aPlanThatDoesNotHoldIsRefused() {
    assertRefused("unknown column 'y'", plan(1, "'y'"));
    assertRefused("output 'who' is STRING", plan(1, "'who'"));
    assertRefused("outputs is a list", plan(1, ""));
    assertRefused("unknown type FLOAT", plan(1, "'x'").replace("DOUBLE", "FLOAT"));
    assertRefused("plan is not JSON", "no\n");
  }

  private static void assertRefused(String message, String plan) {
    SpecException refused = assertThrows(SpecException.class, () -> run(plan));
    assertEquals(true, refused.getMessage().contains(message), refused.getMessage());
  }
}
