package millrace.kernel.tally;

/** The codes of column {@code stage}: what an event is. */
final class Stage {
  static final int OTHER = 0;
  static final int VIEW = 1;
  static final int CART = 2;
  static final int LINE = 3;
  static final int APPROVED = 4;
  static final int REVIEWED = 5;
  static final int BLOCKED = 6;

  private Stage() {}

  static boolean isPayment(int stage) {
    return stage >= APPROVED;
  }
}
