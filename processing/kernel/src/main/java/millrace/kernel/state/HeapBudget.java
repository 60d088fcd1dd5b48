package millrace.kernel.state;

import java.lang.ref.WeakReference;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The heap that kept heads may take, shared by whoever is in this JVM: the subtasks of all jobs of
 * a TaskManager. With n of them each can have an n-th of it when it wants it, whoever came first;
 * what one does not use, others may borrow until it asks.
 *
 * <p>Two fifths of the heap, or as many bytes as the JVM's property {@code millrace.heads.bytes}
 * says. With {@code -Dmillrace.heads.bytes=0} no head is kept and each is read from RocksDB.
 */
public final class HeapBudget {
  static final String PROPERTY = "millrace.heads.bytes";

  /** The rest of the heap is for Flink, the other operators and the collector's room to work in. */
  private static final double SHARE = 0.4;

  private static HeapBudget shared;

  private final long size;
  private final AtomicLong left;
  private final Set<Lease> leases = ConcurrentHashMap.newKeySet();
  private volatile long share;

  public HeapBudget(long size) {
    this.size = size;
    this.share = size;
    left = new AtomicLong(size);
  }

  /**
   * This JVM's. Made when first asked for, so that a wrong size is told by every job and not, as
   * from a static initializer, by the first alone.
   *
   * @throws IllegalArgumentException if {@value #PROPERTY} is set and is no size
   */
  public static synchronized HeapBudget shared() {
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

  /** What is kept under a lease. */
  @FunctionalInterface
  interface Kept {
    /**
     * Drop things until so many bytes are free, and return how many are: fewer where nothing is
     * found soon. Called with the lease locked, by any thread.
     */
    long evict(long bytes);
  }

  /**
   * Open an account for what the calling thread keeps from now on.
   *
   * @param kept not held on to: what nobody else refers to is given back
   */
  Lease lease(Kept kept) {
    Lease lease = new Lease(kept);
    leases.add(lease);
    sweep();
    return lease;
  }

  long left() {
    return left.get();
  }

  /** Bytes that each lease can have. */
  long share() {
    return share;
  }

  /** Take back what ended threads had. Several may come at once; one of them gets each lease. */
  private void sweep() {
    for (Lease lease : leases) {
      if (lease.hasEnded() && leases.remove(lease)) {
        lease.close();
      }
    }
    share = size / Math.max(1, leases.size());
  }

  /**
   * One thread's part. It ends with the thread: a task has one of its own, and Flink (2.1) does not
   * tell a process table function that its task is over.
   *
   * <p>Its owner locks it to change what it keeps. Another one that is below its share does so to
   * take from what lies above the share; it never waits for the lock, so that no two wait for each
   * other.
   */
  final class Lease {
    private final Thread owner = Thread.currentThread();
    private final WeakReference<Kept> kept;
    private final ReentrantLock lock = new ReentrantLock();

    /** Changed under the lock. */
    private volatile long taken;

    private Lease(Kept kept) {
      this.kept = new WeakReference<>(kept);
    }

    void lock() {
      lock.lock();
    }

    void unlock() {
      lock.unlock();
    }

    long taken() {
      return taken;
    }

    /** Whether so many bytes more are within this one's share. */
    boolean isDue(long bytes) {
      return taken + bytes <= share;
    }

    /** True if there was room, which is taken then. */
    boolean take(long bytes) {
      if (left.get() < bytes) {
        return false;
      }
      if (left.addAndGet(-bytes) < 0) {
        left.addAndGet(bytes);
        return false;
      }
      add(bytes);
      return true;
    }

    void give(long bytes) {
      left.addAndGet(bytes);
      add(-bytes);
    }

    /** As {@link #take}, after a look for threads that have ended meanwhile. */
    boolean takeOfEnded(long bytes) {
      sweep();
      return take(bytes);
    }

    /**
     * As {@link #take}, from whoever has most, if that is more than its share and this one's is not
     * used up.
     */
    boolean takeOfOthers(long bytes) {
      if (!isDue(bytes)) {
        return false;
      }
      Lease most = this;
      for (Lease lease : leases) {
        most = lease.taken > most.taken ? lease : most;
      }
      long freed = most == this ? 0 : most.surrender(bytes);
      left.addAndGet(freed >= bytes ? freed - bytes : freed);
      add(freed >= bytes ? bytes : 0);
      return freed >= bytes;
    }

    /** Drop some of what lies above the share, for another; return the bytes it gets. */
    private long surrender(long bytes) {
      Kept has = kept.get();
      if (has == null || !lock.tryLock()) {
        return 0;
      }
      try {
        long freed = taken > share ? has.evict(bytes) : 0;
        add(-freed);
        return freed;
      } finally {
        lock.unlock();
      }
    }

    private boolean hasEnded() {
      return !owner.isAlive() || kept.get() == null;
    }

    private void close() {
      lock.lock();
      try {
        give(taken);
      } finally {
        lock.unlock();
      }
    }

    private void add(long bytes) {
      taken = taken + bytes;
    }
  }
}
