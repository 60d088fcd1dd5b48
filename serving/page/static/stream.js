// Server-sent events over fetch, as EventSource can send no key. A stream that breaks is taken up
// again after its last event, so that nothing is missed.

export class RefusedError extends Error {}

const PATIENCE_MS = 10_000;

export function* parsed(state, piece) {
  state.rest += piece;
  const blocks = state.rest.split("\n\n");
  state.rest = blocks.pop();
  for (const block of blocks) {
    const found = { event: "message", id: null, data: "" };
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) found.event = line.slice(7);
      else if (line.startsWith("id: ")) found.id = line.slice(4);
      else if (line.startsWith("data: ")) found.data += line.slice(6);
    }
    if (found.data) yield found;
  }
}

async function once(path, key, seen, take, alive) {
  const stop = new AbortController();
  let timer = setTimeout(() => stop.abort(), PATIENCE_MS);
  try {
    const headers = { "X-API-Key": key, Accept: "text/event-stream" };
    if (seen.id) headers["Last-Event-ID"] = seen.id;
    const answer = await fetch(path, { headers, signal: stop.signal, cache: "no-store" });
    if (answer.status === 401) throw new RefusedError("this key is not known");
    if (!answer.ok) throw new Error(`the API answers ${answer.status}`);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const state = { rest: "" };
    alive();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), PATIENCE_MS);
      for (const event of parsed(state, value)) {
        take(event.event, JSON.parse(event.data));
        if (event.id) seen.id = event.id;
      }
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

// follow(path, key, take, said): call `take(event, data)` for ever. Throws RefusedError alone.
export async function follow(path, key, take, said) {
  const seen = { id: null };
  let wait = 500;
  for (;;) {
    try {
      await once(path, key, seen, take, () => {
        wait = 500;
        said("live");
      });
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      said("away", error.name === "AbortError" ? "no sign of life" : error.message);
    }
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(wait * 2, 8000);
  }
}
