package millrace.kernel.avro;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the registry says, and what is made of it; above all while it is away. */
class RegistryTest {
  private record Reply(int status, String body) {}

  private static final Reply FOUND = new Reply(200, "{\"schema\": \"\\\"string\\\"\"}");
  private static final Reply UNKNOWN =
      new Reply(404, "{\"error_code\": 40403, \"message\": \"Schema not found\"}");

  private final Deque<Reply> replies = new ArrayDeque<>();
  private final List<String> requests = new ArrayList<>();
  private HttpServer server;

  @AfterEach
  void stop() {
    if (server != null) {
      server.stop(0);
    }
  }

  private String start(int port) throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    server.createContext(
        "/",
        exchange -> {
          String body =
              new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
          requests.add(
              (exchange.getRequestMethod() + " " + exchange.getRequestURI() + " " + body).strip());
          Reply reply = replies.size() > 1 ? replies.poll() : replies.peek();
          byte[] bytes = reply.body.getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(reply.status, bytes.length);
          exchange.getResponseBody().write(bytes);
          exchange.close();
        });
    server.start();
    return "http://127.0.0.1:" + server.getAddress().getPort() + "/api/";
  }

  @Test
  void findsASchema() throws IOException, InterruptedException {
    replies.add(FOUND);
    assertEquals("\"string\"", new Registry(start(0), 0).byId(7));
    assertEquals(List.of("GET /api/schemas/ids/7"), requests);
  }

  @Test
  void asksAgainWhateverElseItAnswers() throws IOException, InterruptedException {
    replies.add(new Reply(503, "starting"));
    replies.add(new Reply(500, "{\"error_code\": 50001}"));
    replies.add(new Reply(404, "<html>no such page</html>"));
    replies.add(new Reply(200, "{}"));
    replies.add(FOUND);
    assertEquals("\"string\"", new Registry(start(0), 0).byId(1));
    assertEquals(5, requests.size());
  }

  @Test
  void unknownIds() throws IOException {
    replies.add(UNKNOWN);
    Registry registry = new Registry(start(0), 0);
    assertEquals(
        Unreadable.UNKNOWN_SCHEMA, assertThrows(Unreadable.class, () -> registry.byId(1)).reason);
    replies.addFirst(new Reply(422, "{\"error_code\": 42201}"));
    replies.addFirst(new Reply(400, "plain HTTP sent to an HTTPS port"));
    replies.addFirst(new Reply(422, "{}"));
    assertEquals(
        Unreadable.UNKNOWN_SCHEMA, assertThrows(Unreadable.class, () -> registry.byId(2)).reason);
  }

  @Test
  void otherKindsOfSchemaAreIncompatible() throws IOException {
    replies.add(new Reply(200, "{\"schemaType\": \"PROTOBUF\", \"schema\": \"message A {}\"}"));
    Registry registry = new Registry(start(0), 0);
    assertEquals(
        Unreadable.INCOMPATIBLE_SCHEMA,
        assertThrows(Unreadable.class, () -> registry.byId(1)).reason);
  }

  @Test
  void waitsForARegistryThatIsAway() throws Exception {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    Registry registry = new Registry("http://127.0.0.1:" + port + "/api", 0);
    CompletableFuture<String> answer =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return registry.byId(3);
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    Thread.sleep(250);
    assertTrue(!answer.isDone());
    replies.add(FOUND);
    start(port);
    assertEquals("\"string\"", answer.get());
  }

  @Test
  void asksAgainWhenAnAnswerDoesNotEnd() throws Exception {
    replies.add(FOUND);
    String url = start(0);
    CountDownLatch asked = new CountDownLatch(1);
    server.removeContext("/");
    server.createContext(
        "/",
        exchange -> {
          boolean first = asked.getCount() > 0;
          asked.countDown();
          byte[] bytes = FOUND.body.getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(200, bytes.length);
          if (!first) {
            exchange.getResponseBody().write(bytes);
            exchange.close();
          }
        });
    assertEquals("\"string\"", new Registry(url, 0, Duration.ofMillis(300)).byId(1));
  }

  @Test
  void waitingEndsWhenInterrupted() throws Exception {
    replies.add(new Reply(503, ""));
    Registry registry = new Registry(start(0), 0);
    AtomicReference<Throwable> ended = new AtomicReference<>();
    CountDownLatch asked = new CountDownLatch(1);
    Thread waiting =
        new Thread(
            () -> {
              asked.countDown();
              ended.set(assertThrows(InterruptedException.class, () -> registry.byId(1)));
            });
    waiting.start();
    asked.await();
    waiting.interrupt();
    waiting.join();
    assertTrue(ended.get() instanceof InterruptedException);
  }

  @Test
  void looksUpAnIdAndNeverRegisters() throws IOException, InterruptedException {
    replies.add(new Reply(404, "{\"error_code\": 40401, \"message\": \"Subject not found\"}"));
    replies.add(new Reply(200, "{\"id\": 42, \"version\": 1}"));
    assertEquals(42, new Registry(start(0), 10_000).idOf("a b-value", "\"string\""));
    String request =
        "POST /api/subjects/a%20b-value?normalize=true {\"schema\":\"\\\"string\\\"\"}";
    assertEquals(List.of(request, request), requests);
  }

  @Test
  void aSchemaNobodyRegisteredEndsTheWait() throws IOException {
    replies.add(UNKNOWN);
    Registry registry = new Registry(start(0), 0);
    String message =
        assertThrows(IllegalStateException.class, () -> registry.idOf("t-value", "\"string\""))
            .getMessage();
    assertTrue(message.contains("not registered under t-value"), message);
  }
}
