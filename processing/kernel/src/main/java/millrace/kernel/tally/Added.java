package millrace.kernel.tally;

import millrace.kernel.state.Bytes;

/**
 * What one event adds to the figures of one window, and how that is written: a number whose bits
 * say which figures change, then by how much each. A figure more at the end reads what was written
 * before.
 */
final class Added {
  static final int EVENTS = 0;
  static final int ORDERS = 1;
  static final int GMV = 2;
  static final int UNPRICED = 3;
  static final int VISITORS = 4;
  static final int BUYERS = 5;
  static final int VIEWED = 6;
  static final int CARTED = 7;
  static final int PURCHASED = 8;
  static final int SESSIONS = 9;
  static final int SESSIONS_VIEWED = 10;
  static final int SESSIONS_CARTED = 11;
  static final int SESSIONS_PURCHASED = 12;
  static final int PAYMENTS = 13;
  static final int REVIEWED = 14;
  static final int BLOCKED = 15;
  static final int PAID = 16;
  static final int PAID_BLOCKED = 17;
  static final int COUNT = 18;

  private Added() {}

  /** Write all figures of {@code by}. */
  static void write(long[] by, Bytes out) {
    long mask = 0;
    for (int i = 0; i < COUNT; i++) {
      mask |= by[i] != 0 ? 1L << i : 0;
    }
    out.putVar(mask);
    for (int i = 0; i < COUNT; i++) {
      if (by[i] != 0) {
        out.putSigned(by[i]);
      }
    }
  }

  /** Add what was written to {@code sums}. */
  static void addTo(long[] sums, Bytes in) {
    for (long mask = in.getVar(); mask != 0; mask &= mask - 1) {
      sums[Long.numberOfTrailingZeros(mask)] += in.getSigned();
    }
  }
}
