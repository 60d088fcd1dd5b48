// The shop's minutes as moving charts, the newest one still filling, and its hours with their band.

import { el, number, percent } from "/page/dom.js";
import { chart } from "/page/chart.js";

const seconds = (one) => new Date(one.window_start).getTime() / 1000;

export default function draw(root) {
  const line = (title, label, colour, format) => chart({ title, lines: [{ label, colour, fill: true, spans: true }], format });
  const plots = {
    gmv: line("Sales by the minute (GMV)", "this minute so far", "--c3", (value) => number(value)),
    path_conversion: line("Conversion, view to purchase", "visitors who bought", "--c2", (value) => percent(value)),
    active_visitors: line("Active visitors", "this minute so far", "--c4", (value) => number(value)),
    fraud_rate: line("Payments blocked", "share of payments", "--c5", (value) => percent(value)),
  };
  const hours = chart({ title: "Sales by the hour (GMV), and what is usual", lines: [{ label: "the hour so far", colour: "--c3", spans: true }], band: { colour: "--c3" }, format: (value) => number(value) });
  const none = el("p", { class: "note" }, "No event of the shop has come yet.");
  const unusual = el("p", { class: "note" });
  const frame = el("div", { class: "plots" }, Object.values(plots).map((one) => one.element), hours.element);
  root.append(frame, unusual, none);
  return (doc) => {
    const minutes = doc.minutes ?? [];
    frame.hidden = !minutes.length;
    none.hidden = minutes.length > 0;
    const times = minutes.map(seconds);
    for (const [name, plot] of Object.entries(plots)) {
      const values = minutes.map((one) => one[name]);
      // Of payments nothing may be known in these minutes: their events may be of other days.
      plot.element.hidden = values.every((one) => one === null);
      plot.set(times, [values]);
    }
    const all = doc.hours ?? [];
    hours.element.hidden = all.length < 2;
    hours.set(all.map(seconds), [all.map((one) => one.gmv)], [all.map((one) => one.low), all.map((one) => one.high)]);
    const corrected = minutes.filter((one) => one.revision > 0).length;
    unusual.hidden = !corrected;
    unusual.textContent = corrected ? `${corrected} of these minutes were corrected by late events after they had closed.` : "";
  };
}
