package millrace.kernel.rolling;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import millrace.kernel.rolling.Column.Type;
import millrace.kernel.rolling.Spec.Comparison;
import millrace.kernel.rolling.Spec.Op;
import millrace.kernel.spec.SpecException;

/** Comparisons that must all hold, bound to the columns of the input. */
final class Predicate {
  /** The same for predicates that mean the same: what a lane's identity is made of. */
  final String identity;

  private final Test[] tests;

  private Predicate(String identity, Test[] tests) {
    this.identity = identity;
    this.tests = tests;
  }

  /** Bind {@code comparisons}; throw {@link SpecException} that starts with {@code what}. */
  static Predicate of(List<Comparison> comparisons, Columns columns, String what) {
    TreeSet<String> identity = new TreeSet<>();
    Test[] tests = new Test[comparisons.size()];
    for (int i = 0; i < tests.length; i++) {
      Comparison comparison = comparisons.get(i);
      int position = columns.position(comparison.column(), what);
      check(comparison, columns.get(position), what);
      tests[i] = Test.of(comparison, position, columns.get(position).type());
      identity.add(identity(comparison));
    }
    return new Predicate(String.join(" & ", identity), tests);
  }

  boolean holds(Row row) {
    for (Test test : tests) {
      if (!test.holds(row)) {
        return false;
      }
    }
    return true;
  }

  private static String identity(Comparison comparison) {
    String op = comparison.op().name().toLowerCase(Locale.ROOT);
    String value = "";
    if (comparison.value() instanceof List<?> list) {
      TreeSet<String> sorted = new TreeSet<>();
      list.forEach(one -> sorted.add(quote(one)));
      value = sorted.toString();
    } else if (comparison.value() != null) {
      value = quote(comparison.value());
    }
    return quote(comparison.column()) + " " + op + " " + value;
  }

  private static String quote(Object value) {
    if (value instanceof String text) {
      return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }
    // Adding 0.0 makes -0.0, which compares the same, the same.
    return value instanceof Double number ? Double.toString(number + 0.0) : String.valueOf(value);
  }

  private static void check(Comparison comparison, Column column, String what) {
    Op op = comparison.op();
    String lower = op.name().toLowerCase(Locale.ROOT);
    String name = what + ": column '" + column.name() + "' is " + column.sql();
    if (!op.hasValue()) {
      return;
    }
    if (column.type() == Type.TIME || column.type() == Type.OTHER) {
      throw new SpecException(name + ", which only null and notnull take, not " + lower);
    }
    if (op.isOrder() && column.type() != Type.NUMBER) {
      throw new SpecException(name + ", " + lower + " is for numbers");
    }
    List<?> values =
        comparison.value() instanceof List<?> list ? list : List.of(comparison.value());
    for (Object value : values) {
      boolean fits =
          switch (column.type()) {
            case NUMBER -> value instanceof Double;
            case STRING -> value instanceof String;
            default -> value instanceof Boolean;
          };
      if (!fits) {
        throw new SpecException(name + ", the value of " + lower + " is not: " + quote(value));
      }
    }
  }

  /** One bound comparison. */
  private record Test(
      int column, Op op, Type type, double[] numbers, byte[][] texts, boolean[] bools) {
    static Test of(Comparison comparison, int column, Type type) {
      List<?> values = List.of();
      if (comparison.value() instanceof List<?> list) {
        values = list;
      } else if (comparison.value() != null) {
        values = List.of(comparison.value());
      }
      double[] numbers = new double[values.size()];
      byte[][] texts = new byte[values.size()][];
      boolean[] bools = new boolean[values.size()];
      for (int i = 0; i < values.size(); i++) {
        Object value = values.get(i);
        if (value instanceof Double number) {
          numbers[i] = number;
        } else if (value instanceof String text) {
          texts[i] = text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
        } else {
          bools[i] = (Boolean) value;
        }
      }
      return new Test(column, comparison.op(), type, numbers, texts, bools);
    }

    boolean holds(Row row) {
      boolean isNull = row.isNull(column);
      if (op == Op.NULL || isNull) {
        return op == Op.NULL && isNull;
      }
      return switch (op) {
        case NULL, NOTNULL -> true;
        case EQ, IN -> among(row);
        case NE -> !among(row);
        case LT -> row.number(column) < numbers[0];
        case LE -> row.number(column) <= numbers[0];
        case GT -> row.number(column) > numbers[0];
        case GE -> row.number(column) >= numbers[0];
      };
    }

    private boolean among(Row row) {
      return switch (type) {
        case NUMBER -> amongNumbers(row.number(column));
        case STRING -> amongTexts(row.text(column));
        default -> amongBools(row.bool(column));
      };
    }

    private boolean amongNumbers(double value) {
      for (double number : numbers) {
        if (value == number) {
          return true;
        }
      }
      return false;
    }

    private boolean amongTexts(byte[] value) {
      for (byte[] text : texts) {
        if (Arrays.equals(value, text)) {
          return true;
        }
      }
      return false;
    }

    private boolean amongBools(boolean value) {
      for (boolean bool : bools) {
        if (value == bool) {
          return true;
        }
      }
      return false;
    }
  }
}
