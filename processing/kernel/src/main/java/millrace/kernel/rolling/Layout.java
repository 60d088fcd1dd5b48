package millrace.kernel.rolling;

import java.util.Comparator;
import java.util.List;
import millrace.kernel.rolling.Spec.Aggregate;

/**
 * How a spec is computed over the columns of one input: which rings there are, which lanes the
 * features share, what is read of a row. Made once per task by {@link LayoutBuilder}; holds scratch
 * space, so it belongs to one thread.
 */
final class Layout {
  final Spec spec;
  final int timeColumn;
  final int idColumn;

  /** Null if no row passes. */
  final Predicate pass;

  final Predicate emit;
  final Predicate[] filters;
  final Operands operands;
  final Ring[] rings;
  final Ring longest;
  final long span;
  final Output.Type[] outputs;

  Layout(
      Spec spec,
      int timeColumn,
      int idColumn,
      Predicate pass,
      Predicate emit,
      Predicate[] filters,
      Operands operands,
      Ring[] rings,
      Output.Type[] outputs) {
    this.spec = spec;
    this.timeColumn = timeColumn;
    this.idColumn = idColumn;
    this.pass = pass;
    this.emit = emit;
    this.filters = filters;
    this.operands = operands;
    this.rings = rings;
    this.outputs = outputs;
    this.longest = longest(List.of(rings));
    this.span = longest.span();
  }

  /** The ring that reaches back furthest, of several the one of the longest tiles: ids go by it. */
  static Ring longest(List<Ring> rings) {
    return rings.stream()
        .max(Comparator.comparingLong(Ring::span).thenComparingLong(ring -> ring.tileMs))
        .orElseThrow();
  }

  /** All windows of one tile length. */
  static final class Ring {
    final long tileMs;
    final int tiles;
    final Lanes lanes;

    /** By lane: which filter its rows meet, and which operand it takes (-1: none). */
    final int[] filters;

    final int[] operands;

    /** By lane: how many hashes a distinct count keeps. */
    final int[] ks;

    final Window[] windows;
    final FeaturePlan[] before;
    final FeaturePlan[] after;

    Ring(
        long tileMs,
        int tiles,
        Lanes lanes,
        int[] filters,
        int[] operands,
        int[] ks,
        Window[] windows,
        List<FeaturePlan> plans) {
      this.tileMs = tileMs;
      this.tiles = tiles;
      this.lanes = lanes;
      this.filters = filters;
      this.operands = operands;
      this.ks = ks;
      this.windows = windows;
      this.before = plans.stream().filter(p -> p.aggregate.isBefore()).toArray(FeaturePlan[]::new);
      this.after = plans.stream().filter(p -> !p.aggregate.isBefore()).toArray(FeaturePlan[]::new);
    }

    long span() {
      return tileMs * tiles;
    }

    long tile(long time) {
      return Math.floorDiv(time, tileMs);
    }

    private static long below(long value, long by) {
      return value < Long.MIN_VALUE + by ? Long.MIN_VALUE : value - by;
    }

    /**
     * The oldest tile kept, or Long.MIN_VALUE if neither clock ({@link Lanes#NEVER}: not started)
     * has started.
     */
    long floor(long newest, long ahead, long longestSpan) {
      long reference = Long.MIN_VALUE;
      if (newest != Lanes.NEVER) {
        reference = tile(newest);
      }
      if (ahead != Lanes.NEVER) {
        reference = Math.max(reference, tile(below(ahead, longestSpan)));
      }
      return below(reference, tiles - 1L);
    }
  }

  /**
   * A window that features use: the newest {@code tiles} tiles.
   *
   * @param lanes those its features need
   */
  record Window(int tiles, int[] lanes) {}

  /**
   * Where a feature finds its lanes and puts its value.
   *
   * @param window which of the ring's windows
   * @param first the lane, or the first of two (sum before count, all before some)
   * @param second the other lane, or -1
   * @param operand of the current row's value, or -1
   */
  record FeaturePlan(
      Aggregate aggregate, int output, int window, int first, int second, int operand, int k) {}
}
