package millrace.kernel.avro;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.MissingNode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The schema registry over its REST interface (Confluent's, which Apicurio speaks as "ccompat").
 * Wait with back-off while it is away: an outage must neither fail the job nor send good records to
 * quarantine.
 */
final class Registry implements Decoder.Schemas {
  private static final Logger LOG = LoggerFactory.getLogger(Registry.class);
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration CONNECT = Duration.ofSeconds(3);
  private static final Duration READ = Duration.ofSeconds(10);
  private static final long FIRST_WAIT = 100;
  private static final long LONGEST_WAIT = 5_000;

  private record Answer(int status, JsonNode body, String text) {
    /** Confluent's own "no such …" (404xx), which a wrong path or a proxy does not give. */
    boolean saysNotFound() {
      return status == 404 && body.path("error_code").asInt() / 100 == 404;
    }

    /** With a code of its own as well: a proxy may refuse anything. */
    boolean refusesTheQuestion() {
      boolean refuses = status == 400 || status == 410 || status == 422;
      return refuses && body.path("error_code").asInt() / 100 == status;
    }
  }

  private final String url;
  private final long registrationWait;
  private final Duration read;
  private HttpClient client;

  /**
   * @param registrationWait milliseconds that {@link #idOf} waits for a schema that is not
   *     registered yet
   */
  Registry(String url, long registrationWait) {
    this(url, registrationWait, READ);
  }

  /**
   * @param read how long an answer may take
   */
  Registry(String url, long registrationWait, Duration read) {
    this.read = read;
    this.url = url.endsWith("/") ? url.substring(0, url.length() - 1) : url;
    this.registrationWait = registrationWait;
  }

  @Override
  public String byId(int id) throws InterruptedException {
    HttpRequest request = request("/schemas/ids/" + id).GET().build();
    for (long wait = FIRST_WAIT; ; wait = pause(wait)) {
      Answer answer = ask(request, wait);
      if (answer == null) {
        continue;
      }
      if (answer.status == 200 && answer.body.path("schema").isTextual()) {
        String type = answer.body.path("schemaType").asText("AVRO");
        if (!type.equals("AVRO")) {
          throw Unreadable.incompatible("schema " + id + " is " + type);
        }
        return answer.body.get("schema").asText();
      }
      if (answer.saysNotFound() || answer.refusesTheQuestion()) {
        throw new Unreadable(Unreadable.UNKNOWN_SCHEMA, "id " + id);
      }
      complain(request, "answered " + answer.status + " " + excerpt(answer.text), wait);
    }
  }

  /**
   * Return the id of a schema registered under a subject; never register it.
   *
   * @throws IllegalStateException if it is not registered, even after waiting
   */
  int idOf(String subject, String schema) throws InterruptedException {
    String body = JSON.createObjectNode().put("schema", schema).toString();
    String path = URLEncoder.encode(subject, StandardCharsets.UTF_8).replace("+", "%20");
    HttpRequest request =
        request("/subjects/" + path + "?normalize=true")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
    long started = System.nanoTime();
    for (long wait = FIRST_WAIT; ; wait = pause(wait)) {
      Answer answer = ask(request, wait);
      if (answer == null) {
        continue;
      }
      if (answer.status == 200 && answer.body.path("id").isInt()) {
        return answer.body.get("id").asInt();
      }
      long waited = (System.nanoTime() - started) / 1_000_000;
      boolean missing = answer.saysNotFound() || answer.refusesTheQuestion();
      if (missing && waited >= registrationWait) {
        throw new IllegalStateException(
            "The schema is not registered under "
                + subject
                + " at "
                + url
                + " (millrace topics apply does it): "
                + excerpt(answer.text));
      }
      complain(request, "answered " + answer.status + " " + excerpt(answer.text), wait);
    }
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(url + path))
        .timeout(read)
        .header("Accept", "application/vnd.schemaregistry.v1+json, application/json")
        .header("Content-Type", "application/vnd.schemaregistry.v1+json");
  }

  /** Return the registry's answer, or null if it could not be reached. */
  private Answer ask(HttpRequest request, long wait) throws InterruptedException {
    if (client == null) {
      client =
          HttpClient.newBuilder()
              .connectTimeout(CONNECT)
              .version(HttpClient.Version.HTTP_1_1)
              .build();
    }
    // The request's own time-out ends with the headers; a host that dies then would be waited for
    // without end.
    CompletableFuture<HttpResponse<String>> asked =
        client.sendAsync(request, HttpResponse.BodyHandlers.ofString());
    try {
      HttpResponse<String> response = asked.get(read.toMillis(), TimeUnit.MILLISECONDS);
      return new Answer(response.statusCode(), json(response.body()), response.body());
    } catch (TimeoutException e) {
      complain(request, "gave no whole answer within " + read, wait);
    } catch (ExecutionException e) {
      if (!(e.getCause() instanceof IOException)) {
        throw new IllegalStateException("Schema registry " + request.uri(), e.getCause());
      }
      complain(request, "is not reachable (" + e.getCause() + ")", wait);
    } finally {
      asked.cancel(true);
    }
    return null;
  }

  private static JsonNode json(String text) {
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      return MissingNode.getInstance();
    }
  }

  private static void complain(HttpRequest request, String what, long wait) {
    LOG.warn("Schema registry {} {}; asking again in {} ms", request.uri(), what, wait);
  }

  private static long pause(long wait) throws InterruptedException {
    Thread.sleep(wait);
    return Math.min(2 * wait, LONGEST_WAIT);
  }

  private static String excerpt(String text) {
    return text.length() <= 200 ? text : text.substring(0, 200) + "…";
  }
}
