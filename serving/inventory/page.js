// Items about to run out: what is left, how long it lasts by sales and by forecast, what to order.

import { el, number, rows, table, NONE } from "/page/dom.js";

const WORDS = { LOW_STOCK: "low stock", RUNS_OUT: "runs out", NEGATIVE_STOCK: "below zero" };

function days(lasts) {
  if (!lasts || lasts.days === null) return NONE;
  const latest = lasts.latest === null ? "later" : number(lasts.latest);
  return [`${number(lasts.days)} days`, el("br"), el("small", {}, `${number(lasts.earliest)} to ${latest}`)];
}

function forecast(one) {
  if (!one) return NONE;
  return [...[days(one.run_out)].flat(), el("br"), el("small", {}, `sells ${number(one.units)} in ${one.horizon_days} days (${number(one.lower_80)} to ${number(one.upper_80)})`)];
}

export default function draw(root) {
  const heads = ["Item", { label: "In stock", class: "n" }, { label: "Sold a day", class: "n" }, "Lasts, by sales", "Lasts, by forecast", { label: "To order", class: "n" }];
  const { frame, body } = table("Items about to run out, the first to do so at the head", heads);
  const none = el("p", { class: "note" }, "No item is about to run out.");
  const note = el("p", { class: "note" }, "Ranges hold in 80 of 100 cases.");
  root.append(frame, note, none);
  const cells = (one) => [
    el("td", { class: "id" }, one.item_id, one.alerts.map((kind) => [" ", el("span", { class: "pill bad" }, WORDS[kind] ?? kind)]).flat()),
    el("td", { class: "n" }, number(one.level)),
    el("td", { class: "n" }, number(one.units_a_day)),
    el("td", {}, days(one.run_out)),
    el("td", {}, forecast(one.forecast)),
    el("td", { class: "n" }, number(one.order)),
  ];
  return (doc) => {
    const items = doc.items ?? [];
    none.hidden = items.length > 0;
    frame.hidden = note.hidden = !items.length;
    rows(
      body,
      items,
      (one) => one.item_id,
      () => el("tr"),
      (row, one) => {
        const now = JSON.stringify(one);
        if (row.dataset.shows === now) return;
        row.dataset.shows = now;
        row.replaceChildren(...cells(one));
      },
    );
  };
}
