package millrace.kernel.rolling;

import java.util.List;
import java.util.Map;

/**
 * A request to {@code rolling}, as docs/rolling.md writes it. {@link SpecParser} reads it; {@link
 * LayoutBuilder} checks it against the columns of the input.
 *
 * @param id the column that recognises duplicates, or null
 * @param pass rows that meet it pass through untouched; none does if it is empty
 * @param windows by name, in the order given
 * @param keepIdleMs how long of wall time state is kept that no row writes
 */
record Spec(
    String name,
    String time,
    String id,
    List<Comparison> pass,
    List<Comparison> emit,
    Map<String, Window> windows,
    List<Feature> features,
    long keepIdleMs) {

  /** Without {@code keep_idle_ms} idle state is kept for so many spans of the longest window. */
  static final int SPANS_KEPT = 3;

  /** But for 30 days at least. */
  static final long LEAST_KEPT_MS = 30L * 24 * 60 * 60 * 1000;

  /** The least that {@code keep_idle_ms} may say, in spans of the longest window. */
  static final int LEAST_SPANS_KEPT = 2;

  static final int DEFAULT_K = 64;
  static final int MIN_K = 8;
  static final int MAX_K = 1024;

  /** The newest {@code tiles} tiles of {@code tileMs} each, the row's own included. */
  record Window(String name, long tileMs, int tiles) {
    long span() {
      return tileMs * tiles;
    }
  }

  /**
   * One declared column.
   *
   * @param column the column aggregated, or null
   */
  record Feature(
      String name,
      Aggregate aggregate,
      String window,
      String column,
      List<Comparison> filter,
      List<Comparison> condition,
      int k) {}

  /**
   * One comparison of a column with a constant.
   *
   * @param value a String, Double, Boolean, a List of these, or null
   */
  record Comparison(String column, Op op, Object value) {}

  /** How values are compared. */
  enum Op {
    EQ,
    NE,
    LT,
    LE,
    GT,
    GE,
    IN,
    NULL,
    NOTNULL;

    boolean isOrder() {
      return this == LT || this == LE || this == GT || this == GE;
    }

    boolean hasValue() {
      return this != NULL && this != NOTNULL;
    }
  }

  /** What an aggregate accepts as its column. */
  enum Takes {
    NOTHING,
    ANYTHING_OR_NOTHING,
    NUMBER,
    NUMBER_OR_STRING
  }

  /** The aggregates of docs/rolling.md. */
  enum Aggregate {
    COUNT(Takes.ANYTHING_OR_NOTHING),
    SUM(Takes.NUMBER),
    MEAN(Takes.NUMBER),
    MIN(Takes.NUMBER),
    MAX(Takes.NUMBER),
    STD(Takes.NUMBER),
    ZSCORE(Takes.NUMBER),
    RATIO(Takes.NUMBER),
    DISTINCT(Takes.NUMBER_OR_STRING),
    LAST(Takes.NUMBER_OR_STRING),
    SECONDS_SINCE(Takes.ANYTHING_OR_NOTHING),
    SHARE(Takes.NOTHING);

    final Takes takes;

    Aggregate(Takes takes) {
      this.takes = takes;
    }

    /** Evaluated before the row is applied, over what came before it. */
    boolean isBefore() {
      return this == LAST || this == SECONDS_SINCE;
    }
  }
}
