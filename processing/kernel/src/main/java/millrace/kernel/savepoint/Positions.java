package millrace.kernel.savepoint;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.memory.DataInputViewStreamWrapper;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.OperatorState;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.apache.flink.runtime.state.OperatorStateHandle;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * Prints where the Kafka sources of a savepoint or checkpoint go on, as JSON: {topic: {partition:
 * offset}}. A partition of which nothing was read has no offset yet and is left out.
 *
 * <p>A source keeps a list of splits, each as Flink's SimpleVersionedSerialization writes it, with
 * the fields of the connector's KafkaPartitionSplitSerializer: topic, partition, next offset, end.
 */
public final class Positions {
  /** What SourceOperator calls its list of splits. */
  private static final String SPLITS = "SourceReaderState";

  private static final int VERSION = 0;

  private Positions() {}

  /** Takes the folder of a savepoint or checkpoint. */
  public static void main(String[] arguments) throws IOException {
    Map<String, Map<Integer, Long>> found = of(Path.of(arguments[0]));
    System.out.println(new ObjectMapper().writeValueAsString(found));
  }

  static Map<String, Map<Integer, Long>> of(Path folder) throws IOException {
    Map<String, Map<Integer, Long>> found = new TreeMap<>();
    Path metadata = folder.resolve("_metadata");
    try (DataInputStream in = new DataInputStream(new FileInputStream(metadata.toFile()))) {
      CheckpointMetadata read =
          Checkpoints.loadCheckpointMetadata(
              in, Positions.class.getClassLoader(), folder.toUri().toString());
      for (OperatorState operator : read.getOperatorStates()) {
        for (OperatorSubtaskState subtask : operator.getStates()) {
          for (OperatorStateHandle handle : subtask.getManagedOperatorState()) {
            splits(handle, found);
          }
        }
      }
    }
    return found;
  }

  private static void splits(OperatorStateHandle handle, Map<String, Map<Integer, Long>> found)
      throws IOException {
    OperatorStateHandle.StateMetaInfo list = handle.getStateNameToPartitionOffsets().get(SPLITS);
    if (list == null) {
      return;
    }
    try (FSDataInputStream in = handle.openInputStream()) {
      for (long at : list.getOffsets()) {
        in.seek(at);
        byte[] split =
            BytePrimitiveArraySerializer.INSTANCE.deserialize(new DataInputViewStreamWrapper(in));
        split(new DataInputStream(new ByteArrayInputStream(split)), found);
      }
    }
  }

  private static void split(DataInputStream in, Map<String, Map<Integer, Long>> found)
      throws IOException {
    int version = in.readInt();
    if (version != VERSION) {
      throw new IOException(
          "splits of version " + version + ", not of Kafka's as it is known here");
    }
    in.readInt(); // its length
    String topic = in.readUTF();
    int partition = in.readInt();
    long next = in.readLong();
    if (next >= 0) {
      found.computeIfAbsent(topic, any -> new TreeMap<>()).put(partition, next);
    }
  }
}
