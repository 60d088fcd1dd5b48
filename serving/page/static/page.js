// The frame of the page: the key, the stream, and a panel for each product that runs.

import { el, text, number } from "/page/dom.js";
import { follow, RefusedError } from "/page/stream.js";

const KEPT = "millrace-key";
const POINTS = 300;
const link = document.getElementById("link");
const tiles = document.getElementById("tiles");

let key = sessionStorage.getItem(KEPT) ?? "";
let people = 0;

// Ask for the key until the API takes one.
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

// Ask the API; throws with the words of its problem.
export async function api(path, body = null) {
  const headers = { "X-API-Key": key };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(found.detail ?? `the API answers ${answer.status}`), { status: answer.status });
  return found;
}

function say(state, why = "") {
  const words = { live: "live", away: `no connection${why ? `: ${why}` : ""}, trying again`, wait: "connecting" };
  link.dataset.state = state;
  text(link, words[state]);
  document.body.dataset.link = state;
}

async function panels() {
  for (;;) {
    if (!key) key = await ask();
    try {
      const found = (await api("/v1/page/panels")).panels;
      sessionStorage.setItem(KEPT, key);
      return found;
    } catch (error) {
      if (error.status === 401) {
        sessionStorage.removeItem(KEPT);
        key = await ask("The API does not know this key.");
      } else {
        say("away", error.message);
        await new Promise((done) => setTimeout(done, 1000));
      }
    }
  }
}

async function build(found) {
  const grid = document.getElementById("grid");
  grid.replaceChildren();
  const built = new Map();
  const loaded = await Promise.all(found.map((one) => import(one.script)));
  found.forEach((one, place) => {
    const title = el("h2", { id: `title-${one.name}` }, one.title);
    const trouble = el("p", { class: "trouble", hidden: true });
    const body = el("div", { class: "body" });
    const section = el("section", { id: one.name, class: one.wide ? "panel wide" : "panel", "aria-labelledby": title.id }, title, trouble, body);
    grid.append(section);
    built.set(one.name, { doc: {}, points: {}, trouble, update: loaded[place].default(body, { api, section }) });
  });
  return built;
}

function take(built, event, data) {
  for (const [name, panel] of built) {
    if (event === "whole") {
      panel.doc = data.panels[name] ?? {};
      panel.points = data.points[name] ?? {};
    } else {
      const changed = data.panels[name];
      if (!changed) continue;
      for (const [key, value] of Object.entries(changed)) {
        if (value === null) delete panel.doc[key];
        else panel.doc[key] = value;
        const points = panel.points[key];
        if (points && value !== null) {
          points.push(value);
          if (points.length > POINTS) points.shift();
        }
      }
    }
    draw(panel);
  }
  drawTiles(built);
  people += 1;
  document.body.dataset.frames = people;
}

function draw(panel) {
  panel.trouble.hidden = !panel.doc.trouble;
  text(panel.trouble, panel.doc.trouble ? `These figures may be old: ${panel.doc.trouble}` : "");
  panel.update(panel.doc, panel.points);
}

function drawTiles(built) {
  const shown = [...built.values()].flatMap((one) => one.doc.tiles ?? []);
  while (tiles.children.length > shown.length) tiles.lastChild.remove();
  while (tiles.children.length < shown.length) tiles.append(el("li", {}, el("span"), el("b"), el("small")));
  shown.forEach((one, place) => {
    const [label, value, unit] = tiles.children[place].children;
    text(label, one.label);
    text(value, typeof one.value === "string" ? one.value : number(one.value));
    text(unit, one.value === null ? "" : one.unit ?? "");
    tiles.children[place].dataset.good = one.good ?? "";
  });
}

async function main() {
  for (;;) {
    const built = await build(await panels());
    try {
      await follow("/v1/page/stream", key, (event, data) => take(built, event, data), say);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      key = "";
      sessionStorage.removeItem(KEPT);
    }
  }
}

main();
