// The key of the API, asked for once a tab, and what is asked of the API with it.

import { text } from "/page/dom.js";

const KEPT = "millrace-key";

let key = sessionStorage.getItem(KEPT) ?? "";

// Ask for the key until one is given.
function ask(trouble = "") {
  const dialog = document.getElementById("ask");
  const field = document.getElementById("ask-key");
  text(document.getElementById("ask-trouble"), trouble);
  field.value = "";
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  if (!dialog.open) dialog.showModal();
  return new Promise((done) => {
    document.getElementById("ask-form").onsubmit = (event) => {
      event.preventDefault();
      dialog.close();
      done(field.value.trim());
    };
  });
}

export const current = () => key;

export function forget() {
  key = "";
  sessionStorage.removeItem(KEPT);
}

// Ask the API; throws with the words of its problem.
export async function api(path, body = null) {
  const headers = { "X-API-Key": key };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(found.detail ?? `the API answers ${answer.status}`), { status: answer.status });
  return found;
}

// Ask the API for what a page begins with: with a key that it takes, and until it answers.
export async function begin(path, away = () => {}) {
  for (;;) {
    if (!key) key = await ask();
    try {
      const found = await api(path);
      sessionStorage.setItem(KEPT, key);
      return found;
    } catch (error) {
      if (error.status === 401) {
        forget();
        key = await ask("The API does not know this key.");
      } else {
        away(error.message);
        await new Promise((done) => setTimeout(done, 1000));
      }
    }
  }
}
