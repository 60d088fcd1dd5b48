package millrace.kernel.rolling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import millrace.kernel.spec.SpecException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What makes no sense is refused with a message that names it. */
class RefusalsTest {
  private static final String SPEC =
      "{'version': 1, 'name': 's', 'time': 'ts', 'windows': {'w': {'tile_ms': 10, 'tiles': 3}}, "
          + "'features': [%s]}";
  private static final String COUNT = "{'name': 'f', 'aggregate': 'count', 'window': 'w'}";

  private static String refused(String spec) {
    String json = spec.replace('\'', '"');
    return assertThrows(
            SpecException.class,
            () -> LayoutBuilder.build(SpecParser.parse(json), HeapRow.columns(Play.COLUMNS)))
        .getMessage();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'aggregate': 'median', 'window': 'w' | feature 'f': unknown aggregate 'median'",
        "'aggregate': 'count', 'window': '1h' | feature 'f': unknown window '1h', know w",
        "'aggregate': 'sum', 'window': 'w' | feature 'f': sum needs a column",
        "'aggregate': 'sum', 'window': 'w', 'column': 'u' | sum takes a number, column 'u' is "
            + "STRING",
        "'aggregate': 'last', 'window': 'w', 'column': 'flag' | takes a number or string, column "
            + "'flag' is BOOLEAN",
        "'aggregate': 'sum', 'window': 'w', 'column': 'nope' | feature 'f': unknown column "
            + "'nope', know ts",
        "'aggregate': 'share', 'window': 'w', 'column': 'x' | feature 'f': share takes no column",
        "'aggregate': 'count', 'window': 'w', 'condition': [] | only share takes a condition",
        "'aggregate': 'count', 'window': 'w', 'k': 8 | only distinct takes k",
        "'aggregate': 'distinct', 'window': 'w', 'column': 'x', 'k': 7 | k is 8 to 1024, not 7",
        "'aggregate': 'count', 'window': 'w', 'colour': 'x' | feature 'f': unknown key 'colour'",
        "'aggregate': 'count', 'window': 'w', 'filter': [{'column': 'x', 'op': 'like', 'value': "
            + "1}] | unknown op 'like'",
        "'aggregate': 'count', 'window': 'w', 'filter': [{'column': 'x', 'op': 'eq'}] | eq needs "
            + "a value",
        "'aggregate': 'count', 'window': 'w', 'filter': [{'column': 'x', 'op': 'null', 'value': "
            + "1}] | null takes no value",
        "'aggregate': 'count', 'window': 'w', 'filter': [{'column': 'x', 'op': 'eq', 'value': "
            + "'a'}] | column 'x' is DOUBLE",
        "'aggregate': 'count', 'window': 'w', 'filter': [{'column': 'u', 'op': 'lt', 'value': "
            + "'a'}] | lt is for numbers",
        "'aggregate': 'count', 'window': 'w', 'filter': [{'column': 'ts', 'op': 'eq', 'value': "
            + "1}] | only null and notnull",
        "'aggregate': 'count', 'window': 'w', 'filter': [{'column': 'x', 'op': 'in', 'value': "
            + "[]}] | in needs a list",
        "'aggregate': 'count', 'window': 'w', 'filter': [{'column': 'nope', 'op': 'null'}] | "
            + "unknown column 'nope'",
      })
  void featuresAreRefusedByName(String rest, String message) {
    String refusal = refused(SPEC.formatted("{'name': 'f', " + rest + "}"));
    assertTrue(refusal.contains(message), refusal);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'time': 'ts' | 'time': 'x' | time column 'x' is DOUBLE",
        "'time': 'ts' | 'time': 'when' | spec, time: unknown column 'when'",
        "'time': 'ts' | 'time': 'ts', 'id': 'x' | id column 'x' is DOUBLE, not STRING",
        "'version': 1 | 'version': 2 | version is 1, not 2",
        "'name': 's', | 'nom': 's', | spec: unknown key 'nom'",
        "'tiles': 3 | 'tiles': 0 | window 'w': tile_ms and tiles are at least 1",
        "'tile_ms': 10 | 'tile_ms': 4611686018427387904 | window 'w': tile_ms times tiles is at "
            + "most",
        "'tiles': 3 | 'tiles': 1.5 | window 'w': tiles is a whole number, not 1.5",
        "'name': 'f' | 'name': 'x' | feature 'x': the input has a column of that name already",
        "'name': 's', | 'name': 's', 'emit': [{'column': 'x', 'op': 'eq', 'value': true}], | "
            + "spec, emit: column 'x' is DOUBLE",
        "'name': 's', | 'name': 's', 'pass': [{'column': 'x', 'op': 'eq', 'value': true}], | "
            + "spec, pass: column 'x' is DOUBLE",
        "'name': 's', | 'name': 's', 'pass': [{'column': 'nope', 'op': 'null'}], | spec, pass: "
            + "unknown column 'nope', know ts",
        "'name': 's', | 'name': 's', 'pass': [{'column': 'ts', 'op': 'eq', 'value': 1}], | spec, "
            + "pass: column 'ts' is TIMESTAMP(3), which only null and notnull take",
        "'name': 's', | 'name': 's', 'pass': [{'column': 'u', 'op': 'like', 'value': 1}], | spec, "
            + "pass, comparison on 'u': unknown op 'like'",
        "'name': 's', | 'name': 's', 'keep_idle_ms': 59, | spec: keep_idle_ms is at least 60, twice "
            + "the span of window 'w', not 59",
        "'name': 's', | 'name': 's', 'keep_idle_ms': '1 d', | spec: keep_idle_ms is a whole number, "
            + "not \"1 d\"",
        "'name': 's', | 'name': 's', 'pass': {}, | spec, pass: pass is a list of comparisons",
        "'name': 's', | 'name': 's', 'pass': [], | spec, pass: pass is a list with at least one "
            + "comparison",
      })
  void theSpecIsRefusedByName(String part, String instead, String message) {
    String refusal = refused(SPEC.formatted(COUNT).replace(part, instead));
    assertTrue(refusal.contains(message), refusal);
  }

  @Test
  void whatIsNoJsonIsRefused() {
    assertTrue(refused("{").startsWith("spec is not JSON: "));
    assertTrue(refused(SPEC.formatted(COUNT) + "x").startsWith("spec is not JSON: "));
    assertEquals("spec: features is a list with at least one feature", refused(SPEC.formatted("")));
    assertEquals("feature 'f' is declared twice", refused(SPEC.formatted(COUNT + ", " + COUNT)));
  }
}
