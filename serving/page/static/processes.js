// Every process with its state; what is not ready says why.

import { el, text, rows } from "/page/dom.js";

const WORDS = { ready: "ready", waiting: "waiting", away: "away" };
const KINDS = { store: "Store", job: "Flink", consumer: "Consumer", api: "API" };

export default function draw(root) {
  const list = el("ul", { class: "states", "aria-label": "Processes" });
  const quarantine = el("p", { class: "note" });
  root.append(list, quarantine);
  return (doc) => {
    const order = { away: 0, waiting: 1, ready: 2 };
    const all = [...(doc.processes ?? [])].sort((a, b) => order[a.state] - order[b.state]);
    rows(
      list,
      all,
      (one) => `${one.kind}/${one.name}`,
      (one) => el("li", {}, el("i", { "aria-hidden": "true" }), el("span", { class: "name" }, one.name), el("small", {}, KINDS[one.kind]), el("b"), el("em")),
      (row, one) => {
        row.dataset.state = one.state;
        text(row.children[3], WORDS[one.state]);
        text(row.children[4], one.why);
      },
    );
    text(quarantine, doc.quarantined ? `${doc.quarantined.toLocaleString("en")} records in quarantine: millrace quarantine list` : "No record is in quarantine.");
  };
}
