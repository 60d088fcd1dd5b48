// A grid of sensors with their state, and the score of the chosen one with its threshold over time.

import { el, text, number, rows } from "/page/dom.js";
import { chart } from "/page/chart.js";

const WORDS = { ok: "ok", alert: "alert", rejected: "reading refused" };
const UNITS = { temperature: " °C", humidity: " %", pressure: " hPa", value: "" };

const measured = (one) => Object.entries(one.measured).map(([name, value]) => `${number(value)}${UNITS[name]}`).join(", ");

export default function draw(root) {
  const grid = el("ul", { class: "sensors", "aria-label": "Sensors, those in alert first" });
  const counts = el("p", { class: "note" });
  const none = el("p", { class: "note" }, "No reading has come yet.");
  const lines = [
    { label: "score", colour: "--c1", fill: true, spans: true },
    { label: "alert at", colour: "--bad", dash: [6, 4] },
  ];
  const plot = chart({ title: "Score", lines, format: (value) => number(value, 2) });
  const frame = el("div", { class: "plots" }, plot.element);
  root.append(none, grid, frame, counts);
  let chosen = null;
  let last = [{}, {}];

  function make(one) {
    const button = el("button", { onclick: () => choose(one.sensor_id) }, el("i", { "aria-hidden": "true" }), el("span", { class: "name" }, one.sensor_id), el("b"), el("small"), el("small", { class: "why" }));
    return el("li", {}, button);
  }

  function change(row, one) {
    const button = row.firstChild;
    button.dataset.state = one.state;
    button.setAttribute("aria-pressed", String(one.sensor_id === chosen));
    const [, , state, small, why] = button.children;
    text(state, WORDS[one.state]);
    text(small, [one.location, measured(one), one.score === null ? null : `score ${number(one.score, 2)}`].filter(Boolean).join(" · "));
    text(why, one.why.map((name) => name.replaceAll("_", " ").toLowerCase()).join(", "));
  }

  function choose(name) {
    chosen = name;
    update(...last);
  }

  function update(doc, points) {
    last = [doc, points];
    const sensors = doc.sensors ?? [];
    none.hidden = sensors.length > 0;
    frame.hidden = counts.hidden = !sensors.length;
    if (!sensors.some((one) => one.sensor_id === chosen)) chosen = sensors[0]?.sensor_id ?? null;
    rows(grid, sensors, (one) => one.sensor_id, make, change);
    const states = doc.states ?? {};
    text(counts, `Of ${number(states.ok + states.alert + states.rejected)} sensors heard of last, ${number(states.alert)} are in alert, and of ${number(states.rejected)} the last reading was refused.`);
    const shown = sensors.find((one) => one.sensor_id === chosen);
    if (!shown) return;
    const all = (points.point ?? []).filter((one) => chosen in one.scores);
    plot.name(`Score of ${chosen}, and where an alert opens`);
    plot.set(all.map((one) => one.t), [all.map((one) => one.scores[chosen]), all.map(() => shown.threshold)]);
  }
  return update;
}
