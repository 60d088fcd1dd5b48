// The way of an event, drawn with its rates, and the charts of throughput and latency.

import { el, text, number, milliseconds, NONE } from "/page/dom.js";
import { chart, COLOURS } from "/page/chart.js";

const KINDS = { topic: "Kafka topic", job: "Flink job", consumer: "consumer", store: "store" };

function step(one) {
  const figure = el("b", {}, NONE);
  const note = el("small");
  const chip = el("li", { class: `step ${one.kind}` }, el("span", { class: "kind" }, KINDS[one.kind]), el("span", { class: "name" }, one.name), figure, note);
  return { chip, figure, note };
}

function show(one, made, doc) {
  let rate = null;
  let note = "";
  let state = "";
  if (one.kind === "topic") {
    rate = doc.topics?.[one.name];
  } else if (one.kind === "consumer") {
    const told = doc.consumers?.[one.name];
    rate = told?.rate;
    state = told ? "" : "away";
    note = told ? (told.lag > 0 ? `${number(told.lag)} behind` : "up to date") : "away";
  } else if (one.kind === "job") {
    state = doc.jobs?.[one.name] ?? "";
    text(made.figure, state || NONE);
    made.chip.dataset.state = state === "running" ? "" : "away";
    return 0;
  }
  text(made.figure, one.kind === "store" ? "" : rate === null || rate === undefined ? NONE : `${number(rate)}/s`);
  text(made.note, note);
  made.chip.dataset.state = state;
  return rate ?? 0;
}

export default function draw(root) {
  const list = el("div", { class: "ways" });
  const plots = el("div", { class: "plots" });
  root.append(list, plots);
  let built = null;
  let known = "";

  function build(ways) {
    list.replaceChildren();
    plots.replaceChildren();
    const lines = ways.map((one, place) => ({ label: one.title, colour: COLOURS[place % COLOURS.length] }));
    built = {
      ways: ways.map((one, place) => {
        const steps = one.steps.map(step);
        const latency = el("b", {}, NONE);
        const mark = el("i", { "aria-hidden": "true" });
        mark.style.setProperty("background", `var(${lines[place].colour})`);
        const row = el("ol", { class: "way", "aria-label": one.title }, steps.map((made) => made.chip));
        list.append(el("div", { class: "lane" }, el("h3", {}, mark, one.title, el("span", { class: "latency" }, "event to store ", latency)), row));
        return { one, steps, latency, row };
      }),
      rates: chart({ title: "Events a second", lines, format: (value) => number(value) }),
      p99: chart({ title: "Event to store, p99 of the last 10 s", lines: lines.map((one) => ({ ...one, spans: true })), format: milliseconds }),
    };
    plots.append(built.rates.element, built.p99.element);
  }

  return (doc, points) => {
    if (!doc.ways) return;
    const shape = JSON.stringify(doc.ways);
    if (shape !== known) {
      known = shape;
      build(doc.ways);
    }
    built.ways.forEach(({ one, steps, latency, row }, place) => {
      const flow = Math.max(...one.steps.map((each, at) => show(each, steps[at], doc)));
      row.dataset.flow = flow > 0 ? "on" : "";
      row.style.setProperty("--pace", `${Math.max(0.6, 3 - Math.log10(1 + flow))}s`);
      const [p50, p99] = [doc.p50[place], doc.p99[place]];
      text(latency, p99 === null ? "quiet" : `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`);
    });
    const all = points.point ?? [];
    const times = all.map((one) => one.t);
    const of = (name) => doc.ways.map((_, place) => all.map((one) => one[name][place] ?? null));
    built.rates.set(times, of("rates"));
    built.p99.set(times, of("p99"));
  };
}
