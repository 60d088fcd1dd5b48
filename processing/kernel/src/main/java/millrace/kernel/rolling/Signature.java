package millrace.kernel.rolling;

import java.util.ArrayList;
import java.util.List;
import millrace.kernel.rolling.Layout.Ring;
import millrace.kernel.rolling.Layout.Window;
import millrace.kernel.state.Bytes;

/**
 * The rings, lanes and windows that a stored head holds: the bytes it begins with. Equal bytes mean
 * that the head can be read as it is; others say how to read it all the same.
 */
final class Signature {
  private static final int VERSION = 1;

  private Signature() {}

  /** The signature of what {@code layout} writes. */
  static byte[] of(Layout layout) {
    Bytes out = new Bytes(256);
    out.putByte(VERSION);
    out.putByte(layout.idColumn >= 0 ? 1 : 0);
    out.putVar(layout.rings.length);
    for (Ring ring : layout.rings) {
      out.putVar(ring.tileMs);
      out.putVar(ring.tiles);
      out.putVar(ring.lanes.size);
      for (int lane = 0; lane < ring.lanes.size; lane++) {
        out.putByte(ring.lanes.kinds[lane].ordinal());
        out.putInt(ring.lanes.ids[lane]);
      }
      out.putVar(ring.windows.length);
      for (Window window : ring.windows) {
        out.putVar(window.tiles());
        out.putVar(window.lanes().length);
        for (int lane : window.lanes()) {
          out.putVar(lane);
        }
      }
    }
    return out.copy();
  }

  /** What a stored head holds. */
  record Stored(boolean hasIds, List<Ring> rings) {
    /** The tile length of the ring that the ids go by. */
    long idTile() {
      return Layout.longest(rings).tileMs;
    }
  }

  /** Read a signature; {@code in} is then at what follows it. */
  static Stored read(Bytes in) {
    int version = in.getByte();
    if (version != VERSION) {
      throw new IllegalStateException(
          "rolling: state of version " + version + ", this kernel reads version " + VERSION);
    }
    boolean hasIds = in.getByte() == 1;
    List<Ring> rings = new ArrayList<>();
    for (long left = in.getVar(); left > 0; left--) {
      long tileMs = in.getVar();
      int tiles = (int) in.getVar();
      int size = (int) in.getVar();
      List<Lanes.Kind> kinds = new ArrayList<>();
      int[] ids = new int[size];
      for (int lane = 0; lane < size; lane++) {
        kinds.add(Lanes.Kind.of(in.getByte()));
        ids[lane] = in.getInt();
      }
      Window[] windows = new Window[(int) in.getVar()];
      for (int i = 0; i < windows.length; i++) {
        int length = (int) in.getVar();
        int[] lanes = new int[(int) in.getVar()];
        for (int j = 0; j < lanes.length; j++) {
          lanes[j] = (int) in.getVar();
        }
        windows[i] = new Window(length, lanes);
      }
      int[] none = new int[size];
      rings.add(
          new Ring(tileMs, tiles, new Lanes(kinds, ids), none, none, none, windows, List.of()));
    }
    return new Stored(hasIds, rings);
  }
}
