package millrace.kernel.rolling;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The heap that kept heads may take, shared by whoever is in this JVM: the subtasks of all jobs of
 * a TaskManager. First come, first served.
 */
final class HeapBudget {
  /** The rest of the heap is for Flink, the other operators and the collector's room to work in. */
  private static final double SHARE = 0.4;

  static final HeapBudget SHARED =
      new HeapBudget((long) (Runtime.getRuntime().maxMemory() * SHARE));

  private final AtomicLong left;
  private final Set<Lease> leases = ConcurrentHashMap.newKeySet();

  HeapBudget(long size) {
    left = new AtomicLong(size);
  }

  /** What the calling thread takes from now on. */
  Lease lease() {
    sweep();
    Lease lease = new Lease();
    leases.add(lease);
    return lease;
  }

  long left() {
    return left.get();
  }

  /** Takes back what ended threads had. Several may come at once; one of them gets each lease. */
  private void sweep() {
    for (Lease lease : leases) {
      if (!lease.owner.isAlive() && leases.remove(lease)) {
        left.addAndGet(lease.taken);
      }
    }
  }

  /**
   * One thread's part. It ends with the thread: a task has one of its own, and Flink (2.1) does not
   * tell a process table function that its task is over.
   */
  final class Lease {
    private final Thread owner = Thread.currentThread();
    private long taken;

    private Lease() {}

    /** True if there was room, which is taken then. */
    boolean take(long bytes) {
      if (left.get() < bytes) {
        return false;
      }
      if (left.addAndGet(-bytes) < 0) {
        left.addAndGet(bytes);
        return false;
      }
      taken += bytes;
      return true;
    }

    void give(long bytes) {
      left.addAndGet(bytes);
      taken -= bytes;
    }

    /** As {@link #take}, after a look for threads that have ended meanwhile. */
    boolean takeOfEnded(long bytes) {
      sweep();
      return take(bytes);
    }
  }
}
