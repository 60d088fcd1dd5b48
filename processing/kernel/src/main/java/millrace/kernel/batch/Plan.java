package millrace.kernel.batch;

import java.util.ArrayList;
import java.util.List;
import millrace.kernel.rolling.Column;
import millrace.kernel.spec.SpecException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.json.JsonMapper;

/**
 * The computation of a run, which its first line gives as JSON:
 *
 * <pre>
 * {"columns": [["customer_id", "STRING"], …], "workers": 2, "outputs": ["amount", "customer_count_1d", …],
 *  "sets": [{"key": ["customer_id"], "spec": {…}}, …]}
 * </pre>
 *
 * @param columns of the rows that come in
 * @param sets applied to each row one after the other
 * @param outputs numbers and booleans among the columns, or among what the sets add
 * @param workers threads; the rows of a key stay with one
 */
record Plan(List<Column> columns, List<FeatureSet> sets, List<String> outputs, int workers) {
  private static final JsonMapper JSON = new JsonMapper();

  /** A spec of {@code rolling} and the columns its rows are partitioned by. */
  record FeatureSet(String spec, List<String> key) {}

  /** Read a plan. Throw {@link SpecException} saying what is missing. */
  static Plan parse(String json) {
    JsonNode root;
    try {
      root = JSON.readTree(json);
    } catch (JsonProcessingException e) {
      throw new SpecException("plan is not JSON: " + e.getOriginalMessage());
    }
    List<Column> columns = new ArrayList<>();
    for (JsonNode pair : list(root, "columns")) {
      columns.add(Column.ofSql(pair.path(0).asText(), pair.path(1).asText()));
    }
    List<FeatureSet> sets = new ArrayList<>();
    for (JsonNode set : list(root, "sets")) {
      sets.add(new FeatureSet(set.path("spec").toString(), texts(set, "key")));
    }
    return new Plan(
        columns, sets, texts(root, "outputs"), Math.max(1, root.path("workers").asInt(1)));
  }

  private static List<String> texts(JsonNode parent, String name) {
    List<String> texts = new ArrayList<>();
    list(parent, name).forEach(node -> texts.add(node.asText()));
    return texts;
  }

  private static JsonNode list(JsonNode parent, String name) {
    JsonNode node = parent.path(name);
    if (!node.isArray() || node.isEmpty()) {
      throw new SpecException("plan: " + name + " is a list that is not empty");
    }
    return node;
  }
}
