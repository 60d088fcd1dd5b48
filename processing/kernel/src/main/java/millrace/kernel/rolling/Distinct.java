package millrace.kernel.rolling;

import java.util.Arrays;

/**
 * The k smallest distinct hashes (k minimum values), as a sorted array of unsigned numbers; null is
 * the empty set.
 */
final class Distinct {
  private static final double HASHES = 4294967296.0;

  private Distinct() {}

  /** {@code set} with {@code hash}; the same array if nothing changes. */
  static int[] add(int[] set, int hash, int k) {
    if (set == null) {
      return new int[] {hash};
    }
    int n = set.length;
    if (n == k && Integer.compareUnsigned(hash, set[n - 1]) >= 0) {
      return set;
    }
    int low = 0;
    int high = n;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (Integer.compareUnsigned(set[middle], hash) < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low < n && set[low] == hash) {
      return set;
    }
    int[] larger = new int[Math.min(n + 1, k)];
    System.arraycopy(set, 0, larger, 0, low);
    larger[low] = hash;
    System.arraycopy(set, low, larger, low + 1, larger.length - low - 1);
    return larger;
  }

  /** The k smallest of both. */
  static int[] union(int[] a, int[] b, int k) {
    if (a == null || b == null) {
      return a == null ? b : a;
    }
    int[] both = new int[Math.min(a.length + b.length, k)];
    int n = 0;
    int i = 0;
    int j = 0;
    while (n < both.length && (i < a.length || j < b.length)) {
      int order = i == a.length ? 1 : j == b.length ? -1 : Integer.compareUnsigned(a[i], b[j]);
      both[n++] = order <= 0 ? a[i] : b[j];
      i += order <= 0 ? 1 : 0;
      j += order >= 0 ? 1 : 0;
    }
    return n == both.length ? both : Arrays.copyOf(both, n);
  }

  /** How many distinct values were seen, of which {@code set} keeps at least the k smallest. */
  static long estimate(int[] set, int k) {
    int n = set == null ? 0 : set.length;
    if (n < k) {
      return n;
    }
    double kth = Integer.toUnsignedLong(set[k - 1]);
    return (long) Math.floor((k - 1) * HASHES / (kth + 0.5) + 0.5);
  }
}
