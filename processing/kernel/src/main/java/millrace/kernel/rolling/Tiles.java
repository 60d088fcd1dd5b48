package millrace.kernel.rolling;

import java.util.Arrays;

/**
 * Tiles of one ring in ascending order, those with data only, as flat arrays. Reused between rows.
 */
final class Tiles {
  final Lanes lanes;
  int size;
  long[] index;
  long[] longs;
  double[] doubles;
  Object[] objects;

  /** Where the tiles were read from: valid until they change. */
  byte[] source;

  int[] begin;
  int[] end;

  Tiles(Lanes lanes, int capacity) {
    this.lanes = lanes;
    allocate(capacity);
  }

  private void allocate(int capacity) {
    index = new long[capacity];
    begin = new int[capacity];
    end = new int[capacity];
    longs = new long[capacity * lanes.longs];
    doubles = new double[capacity * lanes.doubles];
    objects = new Object[capacity * lanes.objects];
  }

  /** Make room for {@code capacity} tiles. */
  void reserve(int capacity) {
    if (capacity > index.length) {
      int wanted = Math.max(capacity, 2 * index.length);
      index = Arrays.copyOf(index, wanted);
      begin = Arrays.copyOf(begin, wanted);
      end = Arrays.copyOf(end, wanted);
      longs = Arrays.copyOf(longs, wanted * lanes.longs);
      doubles = Arrays.copyOf(doubles, wanted * lanes.doubles);
      objects = Arrays.copyOf(objects, wanted * lanes.objects);
    }
  }

  /**
   * The position of {@code tile}, or {@code -1 - p} where p is where it belongs. Mostly it is the
   * newest.
   */
  int find(long tile) {
    int position = size - 1;
    while (position >= 0 && index[position] > tile) {
      position--;
    }
    return position >= 0 && index[position] == tile ? position : -2 - position;
  }

  /** The position of the first tile that is {@code tile} or newer. */
  int position(long tile) {
    int position = size;
    while (position > 0 && index[position - 1] >= tile) {
      position--;
    }
    return position;
  }

  /** Add an empty tile at {@code position}. */
  void insert(int position, long tile) {
    reserve(size + 1);
    int moved = size - position;
    if (moved > 0) {
      shift(position, position + 1, moved);
    }
    size++;
    index[position] = tile;
    lanes.clear(this, position);
  }

  /** Remove the tile at {@code position}. */
  void remove(int position) {
    shift(position + 1, position, size - position - 1);
    size--;
  }

  private void shift(int from, int to, int count) {
    System.arraycopy(index, from, index, to, count);
    move(this, from, to, count);
  }

  /** Copy a tile's values, not its index. Both have the same lanes. */
  void copy(Tiles source, int from, int to) {
    move(source, from, to, 1);
  }

  private void move(Tiles source, int from, int to, int count) {
    int l = lanes.longs;
    int d = lanes.doubles;
    int o = lanes.objects;
    System.arraycopy(source.longs, from * l, longs, to * l, count * l);
    System.arraycopy(source.doubles, from * d, doubles, to * d, count * d);
    System.arraycopy(source.objects, from * o, objects, to * o, count * o);
  }

  /**
   * Copy those lanes of a tile that exist here, by kind and identity; the others stay as they are.
   */
  void translate(Tiles source, int from, int to) {
    for (int lane = 0; lane < lanes.size; lane++) {
      Lanes.Kind kind = lanes.kinds[lane];
      int old = source.lanes.find(kind, lanes.ids[lane]);
      if (old >= 0) {
        Lanes was = source.lanes;
        System.arraycopy(
            source.longs,
            from * was.longs + was.longAt[old],
            longs,
            to * lanes.longs + lanes.longAt[lane],
            kind.longs);
        System.arraycopy(
            source.doubles,
            from * was.doubles + was.doubleAt[old],
            doubles,
            to * lanes.doubles + lanes.doubleAt[lane],
            kind.doubles);
        System.arraycopy(
            source.objects,
            from * was.objects + was.objectAt[old],
            objects,
            to * lanes.objects + lanes.objectAt[lane],
            kind.objects);
      }
    }
  }
}
