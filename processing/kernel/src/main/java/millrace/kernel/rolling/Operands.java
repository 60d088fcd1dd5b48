package millrace.kernel.rolling;

import java.util.ArrayList;
import java.util.List;
import millrace.kernel.state.Hash;

/**
 * The current row's values of the columns that lanes and features read, each read once. Reused
 * between rows.
 */
final class Operands {
  private final int[] columns;
  private final Column.Type[] types;
  private final double[] numbers;
  private final boolean[] present;
  private final byte[][] texts;
  private final int[] hashes;
  private final boolean[] hashed;

  private Operands(List<Integer> positions, Columns of) {
    int n = positions.size();
    columns = positions.stream().mapToInt(Integer::intValue).toArray();
    types = positions.stream().map(p -> of.get(p).type()).toArray(Column.Type[]::new);
    numbers = new double[n];
    present = new boolean[n];
    texts = new byte[n][];
    hashes = new int[n];
    hashed = new boolean[n];
  }

  void load(Row row) {
    for (int i = 0; i < columns.length; i++) {
      boolean isNull = row.isNull(columns[i]);
      present[i] = !isNull;
      hashed[i] = false;
      texts[i] = null;
      if (types[i] == Column.Type.NUMBER) {
        // Adding 0.0 makes 0.0 of -0.0.
        double value = isNull ? Double.NaN : row.number(columns[i]) + 0.0;
        present[i] = Double.isFinite(value);
        numbers[i] = present[i] ? value : Double.NaN;
      } else if (types[i] == Column.Type.STRING && !isNull) {
        texts[i] = row.text(columns[i]);
      }
    }
  }

  /** Whether the row has a value: not NULL and, if a number, finite. */
  boolean has(int operand) {
    return operand < 0 || present[operand];
  }

  /** The number, or NaN. */
  double number(int operand) {
    return numbers[operand];
  }

  byte[] text(int operand) {
    return texts[operand];
  }

  /** The 32-bit hash of a value that is there. */
  int hash(int operand) {
    if (!hashed[operand]) {
      long hash = texts[operand] == null ? Hash.of(numbers[operand]) : Hash.of(texts[operand]);
      hashes[operand] = Hash.high(hash);
      hashed[operand] = true;
    }
    return hashes[operand];
  }

  /** Collect the columns that are read. */
  static final class Builder {
    private final List<Integer> positions = new ArrayList<>();

    /** The operand for the column at {@code position}; -1 stands for no column. */
    int add(int position) {
      if (position < 0) {
        return -1;
      }
      int at = positions.indexOf(position);
      if (at < 0) {
        positions.add(position);
        return positions.size() - 1;
      }
      return at;
    }

    Operands build(Columns columns) {
      return new Operands(positions, columns);
    }
  }
}
