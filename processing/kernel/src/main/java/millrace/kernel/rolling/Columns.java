package millrace.kernel.rolling;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import millrace.kernel.spec.SpecException;

/** The columns of the input, found by name. */
final class Columns {
  private final List<Column> columns;
  private final Map<String, Integer> positions = new HashMap<>();

  Columns(List<Column> columns) {
    this.columns = columns;
    for (int i = 0; i < columns.size(); i++) {
      positions.put(columns.get(i).name(), i);
    }
  }

  Column get(int position) {
    return columns.get(position);
  }

  boolean has(String name) {
    return positions.containsKey(name);
  }

  /** Where {@code name} is; throws {@link SpecException} that starts with {@code what}. */
  int position(String name, String what) {
    Integer position = positions.get(name);
    if (position == null) {
      throw new SpecException(
          what
              + ": unknown column '"
              + name
              + "', know "
              + String.join(", ", columns.stream().map(Column::name).toList()));
    }
    return position;
  }
}
