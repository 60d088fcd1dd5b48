// The latest payments that were not approved, with reasons, and the look-up of one by its id.

import { el, text, number, rows, stamp, table, ago } from "/page/dom.js";

const PILLS = { block: "bad", review: "warn", approve: "good" };
const WORDS = { block: "blocked", review: "to review", approve: "approved" };

const pill = (decision) => el("span", { class: `pill ${PILLS[decision] ?? "dim"}` }, WORDS[decision] ?? decision);
// Decisions made before reasons were put in words have only names.
const told = (one) => (one.explanations?.length ? one.explanations : (one.reasons ?? []).map((name) => name.replaceAll("_", " "))).join(" · ") || "–";

function looked(root, page) {
  const found = el("div", { class: "found", role: "status" });
  const field = el("input", { id: "flagged-id", autocomplete: "off", spellcheck: "false", placeholder: "transaction id" });
  const ask = async (id) => {
    try {
      const one = await page.api(`/v1/fraud/transactions/${encodeURIComponent(id)}`);
      const pairs = {
        payment: one.transaction_id,
        decision: pill(one.decision),
        score: number(one.score, 3),
        amount: number(one.amount, 2),
        customer: one.customer_id,
        terminal: one.terminal_id,
        time: stamp(one.event_time),
        reasons: told(one),
        model: one.model_version,
      };
      const facts = Object.entries(pairs).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
      const whole = el("a", { href: `/page/reviews#${encodeURIComponent(one.transaction_id)}` }, "The whole case");
      found.replaceChildren(el("dl", {}, facts), el("p", {}, whole));
    } catch (error) {
      found.replaceChildren(el("p", { class: "trouble" }, error.message));
    }
  };
  const submit = (event) => {
    event.preventDefault();
    if (field.value.trim()) ask(field.value.trim());
  };
  const form = el("form", { class: "look", onsubmit: submit }, el("label", { for: field.id }, "Look up"), field, el("button", { type: "submit" }, "Show"));
  root.append(form, found);
  return (id) => {
    field.value = id;
    ask(id);
  };
}

export default function draw(root, page) {
  const look = looked(root, page);
  const heads = ["Payment", { label: "Amount", class: "n" }, { label: "Score", class: "n" }, "Decision", "Because of"];
  const { frame, body } = table("The latest payments that were blocked or are to be reviewed", heads);
  const none = el("p", { class: "note" }, "No payment has been blocked yet.");
  root.append(frame, none);

  const make = (one) =>
    el(
      "tr",
      {},
      el("td", { class: "id" }, el("button", { class: "plain", onclick: () => look(one.transaction_id) }, one.transaction_id), el("br"), el("small")),
      el("td", { class: "n" }, number(one.amount, 2)),
      el("td", { class: "n" }, number(one.score, 3)),
      el("td", {}, pill(one.decision)),
      el("td", { class: "reasons" }, told(one)),
    );
  return (doc) => {
    const flagged = doc.flagged ?? [];
    none.hidden = flagged.length > 0;
    frame.hidden = !flagged.length;
    rows(body, flagged, (one) => one.transaction_id, make, (row, one) => text(row.querySelector("small"), ago(one.scored_at)));
  };
}
