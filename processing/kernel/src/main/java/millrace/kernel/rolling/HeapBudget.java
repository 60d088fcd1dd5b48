package millrace.kernel.rolling;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The heap that kept heads may take, shared by whoever is in this JVM: the subtasks of all jobs of
 * a TaskManager. First come, first served.
 *
 * <p>Two fifths of the heap, or as many bytes as the JVM's property {@code millrace.heads.bytes}
 * says. With {@code -Dmillrace.heads.bytes=0} no head is kept and each is read from RocksDB.
 */
final class HeapBudget {
  static final String PROPERTY = "millrace.heads.bytes";

  /** The rest of the heap is for Flink, the other operators and the collector's room to work in. */
  private static final double SHARE = 0.4;

  private static HeapBudget shared;

  private final AtomicLong left;
  private final Set<Lease> leases = ConcurrentHashMap.newKeySet();

  HeapBudget(long size) {
    left = new AtomicLong(size);
  }

  /**
   * This JVM's. Made when first asked for, so that a wrong size is told by every job and not, as
   * from a static initializer, by the first alone.
   *
   * @throws IllegalArgumentException if {@value #PROPERTY} is set and is no size
   */
  static synchronized HeapBudget shared() {
    if (shared == null) {
      shared = new HeapBudget(size(System.getProperty(PROPERTY), Runtime.getRuntime().maxMemory()));
    }
    return shared;
  }

  /**
   * Bytes for heads.
   *
   * @param given bytes in decimal digits, or null for the share of {@code heap}
   * @param heap bytes
   * @throws IllegalArgumentException if {@code given} is anything else
   */
  static long size(String given, long heap) {
    if (given == null) {
      return (long) (heap * SHARE);
    }
    try {
      long size = Long.parseLong(given);
      if (size >= 0) {
        return size;
      }
    } catch (NumberFormatException e) {
      // Told below, with the property's name.
    }
    throw new IllegalArgumentException(
        "-D" + PROPERTY + " is a number of bytes, 0 or more, not '" + given + "'");
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
