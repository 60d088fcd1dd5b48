package millrace.kernel.rolling;

import millrace.kernel.rolling.Layout.FeaturePlan;
import millrace.kernel.rolling.Layout.Ring;

/**
 * Compute the aggregates of docs/rolling.md over {@link Tiles}: apply a row to a lane, fold tiles,
 * make a value of a fold.
 */
final class Arithmetic {
  private Arithmetic() {}

  /** Apply the current row to one lane of the tile at {@code position}. */
  static void apply(Ring ring, int lane, Tiles tiles, int position, Operands row, long time) {
    Lanes lanes = tiles.lanes;
    int operand = ring.operands[lane];
    int l = position * lanes.longs + lanes.longAt[lane];
    int d = position * lanes.doubles + lanes.doubleAt[lane];
    int o = position * lanes.objects + lanes.objectAt[lane];
    switch (lanes.kinds[lane]) {
      case COUNT -> tiles.longs[l]++;
      case SUM -> tiles.doubles[d] += row.number(operand);
      case MIN -> {
        double x = row.number(operand);
        tiles.doubles[d] = tiles.doubles[d] <= x ? tiles.doubles[d] : x;
      }
      case MAX -> {
        double x = row.number(operand);
        tiles.doubles[d] = tiles.doubles[d] >= x ? tiles.doubles[d] : x;
      }
      case MOMENTS -> {
        double x = row.number(operand);
        double n = ++tiles.longs[l];
        double delta = x - tiles.doubles[d];
        tiles.doubles[d] += delta / n;
        tiles.doubles[d + 1] += delta * (x - tiles.doubles[d]);
      }
      case DISTINCT ->
          tiles.objects[o] =
              Distinct.add((int[]) tiles.objects[o], row.hash(operand), ring.ks[lane]);
      case TIME, LAST_NUMBER, LAST_TEXT -> {
        if (time >= tiles.longs[l]) {
          tiles.longs[l] = time;
          if (lanes.kinds[lane] == Lanes.Kind.LAST_NUMBER) {
            tiles.doubles[d] = row.number(operand);
          } else if (lanes.kinds[lane] == Lanes.Kind.LAST_TEXT) {
            tiles.objects[o] = row.text(operand);
          }
        }
      }
    }
  }

  /**
   * Fold the tiles at {@code from} until {@code to} into the tile {@code at} of {@code into},
   * oldest first.
   *
   * @param time times after it are not seen
   */
  static void fold(
      Ring ring, int[] which, Tiles tiles, int from, int to, Tiles into, int at, long time) {
    for (int lane : which) {
      fold(ring, lane, tiles, from, to, into, at, time);
    }
  }

  private static void fold(
      Ring ring, int lane, Tiles tiles, int from, int to, Tiles into, int at, long time) {
    Lanes lanes = tiles.lanes;
    int l = lanes.longAt[lane];
    int d = lanes.doubleAt[lane];
    int toL = at * lanes.longs + l;
    int toD = at * lanes.doubles + d;
    switch (lanes.kinds[lane]) {
      case COUNT -> {
        long total = into.longs[toL];
        for (int i = from; i < to; i++) {
          total += tiles.longs[i * lanes.longs + l];
        }
        into.longs[toL] = total;
      }
      case SUM -> {
        double total = into.doubles[toD];
        for (int i = from; i < to; i++) {
          total += tiles.doubles[i * lanes.doubles + d];
        }
        into.doubles[toD] = total;
      }
      case MIN -> {
        double least = into.doubles[toD];
        for (int i = from; i < to; i++) {
          double x = tiles.doubles[i * lanes.doubles + d];
          least = x < least || least != least ? x : least;
        }
        into.doubles[toD] = least;
      }
      case MAX -> {
        double most = into.doubles[toD];
        for (int i = from; i < to; i++) {
          double x = tiles.doubles[i * lanes.doubles + d];
          most = x > most || most != most ? x : most;
        }
        into.doubles[toD] = most;
      }
      case MOMENTS -> {
        for (int i = from; i < to; i++) {
          merge(into, toL, toD, tiles, i * lanes.longs + l, i * lanes.doubles + d);
        }
      }
      case DISTINCT -> {
        int o = lanes.objectAt[lane];
        int[] union = (int[]) into.objects[at * lanes.objects + o];
        for (int i = from; i < to; i++) {
          union =
              Distinct.union(union, (int[]) tiles.objects[i * lanes.objects + o], ring.ks[lane]);
        }
        into.objects[at * lanes.objects + o] = union;
      }
      case TIME, LAST_NUMBER, LAST_TEXT -> {
        for (int i = to - 1; i >= from; i--) {
          long seen = tiles.longs[i * lanes.longs + l];
          if (seen != Lanes.NEVER && seen <= time) {
            into.longs[toL] = seen;
            int o = lanes.objectAt[lane];
            if (lanes.kinds[lane] == Lanes.Kind.LAST_NUMBER) {
              into.doubles[toD] = tiles.doubles[i * lanes.doubles + d];
            } else if (lanes.kinds[lane] == Lanes.Kind.LAST_TEXT) {
              into.objects[at * lanes.objects + o] = tiles.objects[i * lanes.objects + o];
            }
            break;
          }
        }
      }
    }
  }

  /** Chan's merge of {@code b} into {@code a}: n in the longs, mean and m2 in the doubles. */
  private static void merge(Tiles a, int la, int da, Tiles b, int lb, int db) {
    if (b.longs[lb] == 0) {
      return;
    }
    if (a.longs[la] == 0) {
      a.longs[la] = b.longs[lb];
      a.doubles[da] = b.doubles[db];
      a.doubles[da + 1] = b.doubles[db + 1];
      return;
    }
    double na = a.longs[la];
    double nb = b.longs[lb];
    double n = na + nb;
    double delta = b.doubles[db] - a.doubles[da];
    a.doubles[da] = a.doubles[da] + delta * (nb / n);
    a.doubles[da + 1] = (a.doubles[da + 1] + b.doubles[db + 1]) + (delta * delta) * (na * nb / n);
    a.longs[la] += b.longs[lb];
  }

  /** The value of a feature, of the fold in tile {@code at} of {@code fold}. */
  static void finish(FeaturePlan plan, Tiles fold, int at, Operands row, long time, Output out) {
    Lanes lanes = fold.lanes;
    int l = at * lanes.longs + lanes.longAt[plan.first()];
    int d = at * lanes.doubles + lanes.doubleAt[plan.first()];
    int o = at * lanes.objects + lanes.objectAt[plan.first()];
    switch (plan.aggregate()) {
      case COUNT -> out.whole(plan.output(), fold.longs[l]);
      case DISTINCT ->
          out.whole(plan.output(), Distinct.estimate((int[]) fold.objects[o], plan.k()));
      case SUM, MIN, MAX -> out.number(plan.output(), fold.doubles[d]);
      case MEAN -> out.number(plan.output(), mean(plan, fold, at));
      case RATIO -> {
        double mean = mean(plan, fold, at);
        out.number(plan.output(), mean == 0.0 ? Double.NaN : row.number(plan.operand()) / mean);
      }
      case STD -> out.number(plan.output(), std(fold.longs[l], fold.doubles[d + 1]));
      case ZSCORE -> {
        double std = std(fold.longs[l], fold.doubles[d + 1]);
        double x = row.number(plan.operand());
        out.number(plan.output(), std == 0.0 ? Double.NaN : (x - fold.doubles[d]) / std);
      }
      case SHARE -> {
        double all = fold.longs[l];
        double some = fold.longs[at * lanes.longs + lanes.longAt[plan.second()]];
        out.number(plan.output(), all == 0.0 ? Double.NaN : some / all);
      }
      case LAST -> {
        if (fold.longs[l] != Lanes.NEVER) {
          if (lanes.kinds[plan.first()] == Lanes.Kind.LAST_TEXT) {
            out.text(plan.output(), (byte[]) fold.objects[o]);
          } else {
            out.number(plan.output(), fold.doubles[d]);
          }
        }
      }
      case SECONDS_SINCE -> {
        if (fold.longs[l] != Lanes.NEVER) {
          out.number(plan.output(), (time - fold.longs[l]) / 1000.0);
        }
      }
    }
  }

  /** NaN if there are none. */
  private static double mean(FeaturePlan plan, Tiles fold, int at) {
    Lanes lanes = fold.lanes;
    double count = fold.longs[at * lanes.longs + lanes.longAt[plan.second()]];
    return count == 0.0
        ? Double.NaN
        : fold.doubles[at * lanes.doubles + lanes.doubleAt[plan.first()]] / count;
  }

  private static double std(long n, double m2) {
    return n < 2 ? Double.NaN : Math.sqrt(m2 / (n - 1));
  }
}
