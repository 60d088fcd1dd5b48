package millrace.kernel.sessionize;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import millrace.kernel.spec.SpecException;
import millrace.kernel.state.StateStore;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.DataType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What the comparison with the specification through Flink does not reach: refusals, the state, and
 * a few answers by hand.
 */
class SessionizeTest {
  private static final String SPEC =
      "{'version': 1, 'id': 'id', 'time': 'at', 'item': 'item', 'action': 'action', 'gap_ms': 10,"
          + " 'horizon_ms': 100, 'items': 3, 'text_bytes': 40, 'keep_idle_ms': 110}";
  private static final DataType INPUT =
      DataTypes.ROW(
          DataTypes.FIELD("user", DataTypes.STRING()),
          DataTypes.FIELD("id", DataTypes.STRING()),
          DataTypes.FIELD("at", DataTypes.TIMESTAMP_LTZ(3)),
          DataTypes.FIELD("item", DataTypes.STRING()),
          DataTypes.FIELD("action", DataTypes.STRING()),
          DataTypes.FIELD("fine", DataTypes.TIMESTAMP_LTZ(6)));

  private final Engine engine = new Engine(spec(SPEC));
  private final Answer answer = new Answer();
  private final HeadAlone store = new HeadAlone();

  /** Nothing but the head is ever asked for. */
  private static final class HeadAlone implements StateStore {
    private byte[] head;
    private int puts;

    @Override
    public byte[] get(long entry) {
      assertEquals(HEAD, entry);
      // As from the heap: more bytes than were put, and a buffer that is used again.
      return head == null ? null : Arrays.copyOf(head, head.length + 17);
    }

    @Override
    public void put(long entry, byte[] value) {
      assertEquals(HEAD, entry);
      head = value;
      puts++;
    }

    @Override
    public void remove(long entry) {
      throw new AssertionError("removed " + entry);
    }
  }

  private static Spec spec(String json) {
    return Spec.parse(json.replace('\'', '"'));
  }

  private Engine.Fate click(String id, long time, String item) {
    return engine.process(utf8(id), time, utf8(item), utf8("view"), store);
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private RowData session() {
    return answer.session(engine.head(), engine.joinedAt());
  }

  private static String texts(ArrayData texts) {
    StringBuilder all = new StringBuilder();
    for (int i = 0; i < texts.size(); i++) {
      all.append(i == 0 ? "" : " ").append(texts.getString(i));
    }
    return all.toString();
  }

  @Test
  void aClickBetweenTwoSessionsMergesThem() {
    click("b", 30, "z");
    click("a", 14, "x");
    assertEquals(Engine.Fate.COUNTED, click("m", 22, "y"));
    assertEquals(1, engine.gone().size());
    RowData gone = answer.gone(engine.gone().get(0), engine.joined());
    assertEquals("b", gone.getString(0).toString());
    assertEquals(3, gone.getInt(3));
    assertEquals(0, gone.getArray(4).size());
    assertEquals("a", gone.getString(6).toString());
    RowData whole = session();
    assertEquals("a", whole.getString(0).toString());
    assertEquals(30, whole.getTimestamp(1, 3).getMillisecond());
    assertEquals(14, whole.getTimestamp(2, 3).getMillisecond());
    assertEquals("x y z", texts(whole.getArray(4)));
    assertEquals("view view view", texts(whole.getArray(5)));
    assertTrue(whole.isNullAt(6));
  }

  @Test
  void lateAndRepeatedClicksDoNotTouchTheState() {
    click("a", 200, "x");
    byte[] before = store.head.clone();
    assertEquals(Engine.Fate.DUPLICATE, click("a", 200, "other"));
    assertEquals(Engine.Fate.LATE, click("b", 99, "y"));
    assertArrayEquals(before, store.head);
    assertEquals(1, store.puts);
  }

  @Test
  void theStateOfOneVisitorIsBounded() {
    int most = 0;
    for (int i = 0; i < 5_000; i++) {
      click("e" + i, 3L * i + (i % 7) * 4, "item" + i);
      most = Math.max(most, store.head.length);
    }
    assertTrue(most < 600, most + " bytes");
  }

  @Test
  void aStateOfAnotherVersionStopsTheJobAndIsNotMisread() {
    store.head = new byte[] {2, 0, 0};
    assertThrows(IllegalStateException.class, () -> click("a", 1, "x"));
  }

  @Test
  void aRowWithoutIdTimeItemOrActionIsNoClick() {
    Click click = new Click(spec(SPEC), INPUT);
    StringData text = StringData.fromString("t");
    TimestampData at = TimestampData.fromEpochMillis(7);
    assertTrue(click.read(GenericRowData.of(text, text, at, text, text, null)));
    assertEquals(7, click.time);
    for (int missing = 1; missing <= 4; missing++) {
      GenericRowData row = GenericRowData.of(text, text, at, text, text, null);
      row.setField(missing, null);
      assertEquals(false, click.read(row), "column " + missing);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "'version': 1|'version': 2|spec: version is 1, not 2",
        "'gap_ms': 10|'gap_ms': 0|spec: gap_ms is 1 to 1125899906842624, not 0",
        "'items': 3|'items': 0|spec: items is 1 to 10000, not 0",
        "'keep_idle_ms': 110|'keep_idle_ms': 109|"
            + "spec: keep_idle_ms is 110 to 9223372036854775807, not 109",
        "'id': 'id'|'id': 'nobody'|unknown column 'nobody', know user, id, at, item, action, fine",
        "'time': 'at'|'time': 'fine'|"
            + "column 'fine' is TIMESTAMP(3), TIMESTAMP_LTZ(3) or BIGINT, not TIMESTAMP_LTZ(6)",
        "'item': 'item'|'item': 'at'|column 'at' is STRING, not TIMESTAMP_LTZ(3)",
      })
  void aSpecThatMakesNoSenseIsRefused(String was, String is, String told) {
    String changed = SPEC.replace(was, is);
    SpecException refused =
        assertThrows(SpecException.class, () -> Click.check(spec(changed), INPUT));
    assertEquals(told, refused.getMessage());
  }
}
