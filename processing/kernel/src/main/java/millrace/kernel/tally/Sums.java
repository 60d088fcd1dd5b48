package millrace.kernel.tally;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import millrace.kernel.state.Bytes;

/** What was added up for a window: its figures, and of each item sold the units and the amount. */
public final class Sums {
  private static final Comparator<Sold> BEST =
      Comparator.comparingLong((Sold sold) -> -sold.minor)
          .thenComparingLong(sold -> -sold.units)
          .thenComparing(Sold::item);

  final long[] figures = new long[Added.COUNT];
  private final Map<String, long[]> items = new HashMap<>();

  /** An item's units and amount in minor units. */
  record Sold(String item, long units, long minor) {}

  void add(byte[] added) {
    Added.addTo(figures, Bytes.over(added));
  }

  void sell(String item, long units, long minor) {
    long[] sold = items.computeIfAbsent(item, none -> new long[2]);
    sold[0] += units;
    sold[1] += minor;
  }

  void add(Sums other) {
    for (int i = 0; i < figures.length; i++) {
      figures[i] += other.figures[i];
    }
    other.items.forEach((item, sold) -> sell(item, sold[0], sold[1]));
  }

  /** How many items were sold. */
  int many() {
    return items.size();
  }

  /** The best items by amount, then units, then id, so many at most. */
  List<Sold> best(int most) {
    PriorityQueue<Sold> kept = new PriorityQueue<>(BEST.reversed());
    items.forEach(
        (item, sold) -> {
          kept.add(new Sold(item, sold[0], sold[1]));
          if (kept.size() > most) {
            kept.poll();
          }
        });
    List<Sold> best = new ArrayList<>(kept);
    best.sort(BEST);
    return best;
  }

  void write(Bytes out) {
    Added.write(figures, out);
    out.putVar(items.size());
    items.forEach(
        (item, sold) -> {
          byte[] name = item.getBytes(StandardCharsets.UTF_8);
          out.putVar(name.length);
          out.put(name, 0, name.length);
          out.putSigned(sold[0]);
          out.putSigned(sold[1]);
        });
  }

  static Sums read(Bytes in) {
    Sums sums = new Sums();
    Added.addTo(sums.figures, in);
    for (long left = in.getVar(); left > 0; left--) {
      String item = new String(in.get((int) in.getVar()), StandardCharsets.UTF_8);
      sums.sell(item, in.getSigned(), in.getSigned());
    }
    return sums;
  }
}
