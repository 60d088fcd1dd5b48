package millrace.kernel.rolling;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.json.JsonReadFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.json.JsonMapper;

/**
 * Runs the engine over JSON lines, to compare it with the reference without Flink: {@code {"spec":
 * {…}, "columns": ["amount DOUBLE", …]}} begins (or changes the spec and keeps the state), {@code
 * {"key": "a", "row": [1.5, …]}} is a row. A row answers with the bits of its features, or null if
 * it is not emitted; {@code {"reset": true}} forgets all keys.
 */
final class Replay {
  private Keys keys = new Keys();
  private Engine engine;
  private List<Column> columns;

  private Replay() {}

  public static void main(String[] args) throws IOException {
    JsonMapper json =
        JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    Replay replay = new Replay();
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      replay.line(json.readTree(line), out);
    }
    out.flush();
  }

  private void line(JsonNode line, PrintStream out) {
    if (line.has("reset")) {
      keys = new Keys();
    } else if (line.has("spec")) {
      List<String> declared = new ArrayList<>();
      line.get("columns").forEach(c -> declared.add(c.textValue()));
      columns = HeapRow.columns(declared.toArray(String[]::new));
      engine =
          new Engine(LayoutBuilder.build(SpecParser.parse(line.get("spec").toString()), columns));
    } else {
      HeapRow row = new HeapRow(values(line.get("row")));
      out.println(engine.process(row, keys.of(line.get("key").textValue())) ? text() : "null");
    }
  }

  private Object[] values(JsonNode row) {
    Object[] values = new Object[row.size()];
    for (int i = 0; i < values.length; i++) {
      JsonNode value = row.get(i);
      if (!value.isNull()) {
        Column column = columns.get(i);
        values[i] =
            switch (column.type()) {
              case NUMBER ->
                  column.isWhole() ? (Object) value.longValue() : (Object) value.doubleValue();
              case STRING -> value.textValue();
              case BOOLEAN -> value.booleanValue();
              case TIME, OTHER -> value.longValue();
            };
      }
    }
    return values;
  }

  private String text() {
    Output output = engine.output();
    StringBuilder text = new StringBuilder("[");
    for (int i = 0; i < output.types.length; i++) {
      if (output.isNull[i]) {
        text.append("null");
      } else {
        text.append(
            switch (output.types[i]) {
              case BIGINT -> String.valueOf(output.wholes[i]);
              case DOUBLE ->
                  '"' + Long.toHexString(Double.doubleToRawLongBits(output.numbers[i])) + '"';
              case STRING -> '"' + new String(output.texts[i], StandardCharsets.UTF_8) + '"';
            });
      }
      text.append(", ");
    }
    return text.append(output.late).append(", ").append(output.duplicate).append(']').toString();
  }
}
