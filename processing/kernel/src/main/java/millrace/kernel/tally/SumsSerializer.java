package millrace.kernel.tally;

import java.io.IOException;
import millrace.kernel.state.Bytes;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Write {@link Sums} as {@link Sums#write} does, their length before them. */
public final class SumsSerializer extends TypeSerializerSingleton<Sums> {
  private static final long serialVersionUID = 1L;

  @Override
  public boolean isImmutableType() {
    return false;
  }

  @Override
  public Sums createInstance() {
    return new Sums();
  }

  @Override
  public Sums copy(Sums from) {
    Sums copy = new Sums();
    copy.add(from);
    return copy;
  }

  @Override
  public Sums copy(Sums from, Sums reuse) {
    return copy(from);
  }

  @Override
  public int getLength() {
    return -1;
  }

  @Override
  public void serialize(Sums sums, DataOutputView target) throws IOException {
    Bytes out = new Bytes(64);
    sums.write(out);
    target.writeInt(out.at);
    target.write(out.data, 0, out.at);
  }

  @Override
  public Sums deserialize(DataInputView source) throws IOException {
    byte[] written = new byte[source.readInt()];
    source.readFully(written);
    return Sums.read(Bytes.over(written));
  }

  @Override
  public Sums deserialize(Sums reuse, DataInputView source) throws IOException {
    return deserialize(source);
  }

  @Override
  public void copy(DataInputView source, DataOutputView target) throws IOException {
    int length = source.readInt();
    target.writeInt(length);
    target.write(source, length);
  }

  @Override
  public TypeSerializerSnapshot<Sums> snapshotConfiguration() {
    return new Snapshot();
  }

  /** For savepoints. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<Sums> {
    /** Called by Flink. */
    public Snapshot() {
      super(SumsSerializer::new);
    }
  }
}
