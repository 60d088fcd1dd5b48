package millrace.kernel.tally;

/** What the events of one visitor come to in one window: the figures that no event adds alone. */
final class Figures {
  int visitors;
  int buyers;
  int orders;
  int viewed;
  int carted;
  int purchased;
  int sessions;
  int sessionsViewed;
  int sessionsCarted;
  int sessionsPurchased;

  /** Take the figures of the events of {@code hour} from {@code from}, before {@code to}. */
  void take(Hour hour, int from, int to, long gapMs) {
    int first = hour.at(from);
    int end = hour.at(to);
    visitors = end > first ? 1 : 0;
    buyers = 0;
    orders = hour.orders(first, end);
    sessions = sessionsViewed = sessionsCarted = sessionsPurchased = 0;
    int reached = reached(hour, first, end);
    viewed = reached >= Stage.VIEW ? 1 : 0;
    carted = reached >= Stage.CART ? 1 : 0;
    purchased = reached >= Stage.LINE ? 1 : 0;
    int began = first;
    for (int i = first; i < end; i++) {
      if (hour.stage(i) == Stage.LINE) {
        buyers = 1;
      }
      if (i + 1 == end || hour.time(i + 1) - hour.time(i) > gapMs) {
        session(reached(hour, began, i + 1));
        began = i + 1;
      }
    }
  }

  private void session(int reached) {
    sessions++;
    sessionsViewed += reached >= Stage.VIEW ? 1 : 0;
    sessionsCarted += reached >= Stage.CART ? 1 : 0;
    sessionsPurchased += reached >= Stage.LINE ? 1 : 0;
  }

  /** How far the way from a view by a cart to a purchase was gone, in order; events at once are. */
  private static int reached(Hour hour, int first, int end) {
    int view = earliest(hour, first, end, Stage.VIEW, 0);
    if (view < 0) {
      return Stage.OTHER;
    }
    int cart = earliest(hour, first, end, Stage.CART, view);
    if (cart < 0) {
      return Stage.VIEW;
    }
    return earliest(hour, first, end, Stage.LINE, cart) < 0 ? Stage.CART : Stage.LINE;
  }

  private static int earliest(Hour hour, int first, int end, int stage, int since) {
    for (int i = first; i < end; i++) {
      if (hour.stage(i) == stage && hour.time(i) >= since) {
        return hour.time(i);
      }
    }
    return -1;
  }
}
