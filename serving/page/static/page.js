// The frame of the page: the key, the stream, and a panel for each product that runs.

import { el, text, number } from "/page/dom.js";
import { api, begin, current, forget } from "/page/key.js";
import { follow, RefusedError } from "/page/stream.js";

const POINTS = 300;
const link = document.getElementById("link");
const tiles = el("ul", { class: "tiles", id: "tiles", "aria-label": "Key figures" });
const grid = el("div", { class: "grid", id: "grid" });
document.getElementById("main").append(tiles, grid);

let frames = 0;

function say(state, why = "") {
  const words = { live: "live", away: `no connection${why ? `: ${why}` : ""}, trying again`, wait: "connecting" };
  link.dataset.state = state;
  text(link, words[state]);
  document.body.dataset.link = state;
}

async function build(found) {
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
  frames += 1;
  document.body.dataset.frames = frames;
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
    const built = await build((await begin("/v1/page/panels", (why) => say("away", why))).panels);
    try {
      await follow("/v1/page/stream", current(), (event, data) => take(built, event, data), say);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      forget();
    }
  }
}

say("wait");
main();
