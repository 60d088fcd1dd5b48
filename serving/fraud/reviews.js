// The cases of an analyst: the queue of reviews, a payment beside its customer's habit, the verdict.

import { el, text, number, percent, rows, stamp, table, ago, NONE } from "/page/dom.js";
import { api, begin } from "/page/key.js";

const AT_ONCE = 25;
const EVERY_MS = 5000;
const PILLS = { block: "bad", review: "warn", approve: "good" };
const WORDS = { block: "blocked", review: "to review", approve: "approved" };

const main = document.getElementById("main");
const pill = (decision) => el("span", { class: `pill ${PILLS[decision] ?? "dim"}` }, WORDS[decision] ?? decision);
const named = (fraud) => (fraud ? "fraud" : "no fraud");
const chosen = () => decodeURIComponent(location.hash.slice(1));
const path = (id) => encodeURIComponent(id);

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// Say how a payment compares with the others of its customer, in pairs of a name and a sentence.
function habit(payment, history) {
  const others = history.filter((one) => one.transaction_id !== payment.transaction_id && one.event_time <= payment.event_time);
  if (!others.length) return [["Earlier payments", "none is known of this customer"]];
  const amounts = others.map((one) => one.amount);
  const usual = median(amounts);
  const there = others.filter((one) => one.terminal_id === payment.terminal_id).length;
  const last = Math.max(...others.map((one) => Date.parse(one.event_time)));
  const minutes = (Date.parse(payment.event_time) - last) / 60_000;
  const times = usual > 0 ? `, ${number(payment.amount / usual, 1)} times the median` : "";
  return [
    ["Amount", `${number(payment.amount, 2)}${times} of ${number(usual, 2)} (${number(Math.min(...amounts), 2)} to ${number(Math.max(...amounts), 2)})`],
    ["Terminal", there ? `${number(there)} of the ${number(others.length)} payments before were made at it` : `none of the ${number(others.length)} payments before was made at it`],
    ["Since the last payment", minutes < 120 ? `${number(minutes, 0)} minutes` : `${number(minutes / 60, 1)} hours`],
    ["Verdicts of fraud", `${number(others.filter((one) => one.verdict?.fraud).length)} among them`],
  ];
}

const pairs = (all) => el("dl", {}, all.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

function block(title, ...content) {
  return el("section", { class: "part" }, el("h3", {}, title), ...content);
}

function featured(features) {
  if (!features.length) return el("p", { class: "note" }, "Features are kept of payments that were not approved, for a time.");
  const { frame, body } = table("The payment's features", ["In words", "Feature", { label: "Value", class: "n" }]);
  body.append(...features.map((one) => el("tr", {}, el("td", {}, one.text), el("td", { class: "id" }, one.name), el("td", { class: "n" }, number(one.value, 2)))));
  return frame;
}

function past(payment, history) {
  const { frame, body } = table("The customer's recent payments", ["When", { label: "Amount", class: "n" }, "Terminal", "Decision", "Verdict"]);
  body.append(
    ...history.map((one) =>
      el(
        "tr",
        { "aria-current": one.transaction_id === payment.transaction_id ? "true" : null },
        el("td", {}, stamp(one.event_time)),
        el("td", { class: "n" }, number(one.amount, 2)),
        el("td", { class: "id" }, one.terminal_id),
        el("td", {}, pill(one.decision)),
        el("td", {}, one.verdict ? named(one.verdict.fraud) : NONE),
      ),
    ),
  );
  return frame;
}

// The form that gives a verdict, or changes the one there is.
function judgement(payment, verdict, judged) {
  const said = el("p", { class: "said", role: "status" });
  const note = el("input", { id: "verdict-note", maxlength: "1000", autocomplete: "off", placeholder: "why, for whoever looks next" });
  async function give(fraud) {
    buttons.forEach((one) => { one.disabled = true; });
    try {
      const body = { fraud, note: note.value.trim(), revise: verdict !== null };
      const found = await api(`/v1/fraud/transactions/${path(payment.transaction_id)}/verdict`, body);
      judged(found);
    } catch (error) {
      text(said, `Not recorded: ${error.message}`);
      buttons.forEach((one) => { one.disabled = false; });
    }
  }
  const button = (fraud) => el("button", { type: "button", class: fraud ? "danger" : "", onclick: () => give(fraud) }, verdict ? `Change to ${named(fraud)}` : fraud ? "Fraud" : "No fraud");
  const buttons = (verdict ? [!verdict.fraud] : [true, false]).map(button);
  if (verdict) text(said, `Verdict: ${named(verdict.fraud)}, ${stamp(verdict.known_at)}${verdict.note ? `: ${verdict.note}` : ""}`);
  return block("Verdict", said, el("div", { class: "look" }, el("label", { for: note.id }, "Note"), note, buttons));
}

function drawn(found, history, judged) {
  const { payment, verdict, features } = found;
  const sentences = payment.explanations?.length ? payment.explanations : payment.reasons;
  return [
    el("h2", { tabindex: "-1" }, `Payment ${payment.transaction_id} `, pill(payment.decision)),
    judgement(payment, verdict, judged),
    el(
      "div",
      { class: "halves" },
      block(
        "The payment",
        pairs([
          ["Amount", number(payment.amount, 2)],
          ["Customer", payment.customer_id],
          ["Terminal", payment.terminal_id],
          ["Made", stamp(payment.event_time)],
          ["Probability of fraud", percent(payment.score)],
          ["Model", payment.model_version],
        ]),
      ),
      block("Why it was stopped", sentences.length ? el("ul", { class: "sentences" }, sentences.map((one) => el("li", {}, one))) : el("p", { class: "note" }, "It was approved.")),
    ),
    block("Beside the customer's habit", pairs(habit(payment, history))),
    block("Features", featured(features)),
    block("History", past(payment, history)),
  ];
}

function set() {
  const { frame, body } = table("Payments that wait for a verdict, the newest first", ["Payment", { label: "Amount", class: "n" }, { label: "Score", class: "n" }]);
  const none = el("p", { class: "note" }, "No payment waits for a verdict.");
  const more = el("button", { type: "button", hidden: true }, "Show older ones");
  const trouble = el("p", { class: "trouble", role: "status" });
  const queue = el("section", { class: "panel queue", "aria-labelledby": "queue" }, el("h2", { id: "queue" }, "To review"), trouble, frame, none, more);
  const about = el("section", { class: "panel case", "aria-label": "The case" }, el("p", { class: "note" }, "Choose a payment of the queue."));
  main.replaceChildren(el("div", { class: "cases" }, queue, about));
  return { body, frame, none, more, trouble, about };
}

async function run() {
  const page = set();
  let all = [];
  let next = null;
  let shown = 0;

  function list() {
    page.none.hidden = all.length > 0;
    page.frame.hidden = !all.length;
    page.more.hidden = next === null;
    rows(
      page.body,
      all,
      (one) => one.transaction_id,
      (one) =>
        el(
          "tr",
          {},
          el("td", { class: "id" }, el("a", { href: `#${path(one.transaction_id)}` }, one.transaction_id), el("br"), el("small")),
          el("td", { class: "n" }, number(one.amount, 2)),
          el("td", { class: "n" }, number(one.score, 3)),
        ),
      (row, one) => {
        text(row.querySelector("small"), ago(one.event_time));
        if (one.transaction_id === chosen()) row.setAttribute("aria-current", "true");
        else row.removeAttribute("aria-current");
      },
    );
  }

  function take(found, older = false) {
    const known = new Set(found.reviews.map((one) => one.transaction_id));
    const last = found.reviews.at(-1);
    // Older pages stay below the newest one.
    const rest = all.filter((one) => !known.has(one.transaction_id) && last && one.event_time < last.event_time);
    if (older) all = [...all, ...found.reviews];
    else all = found.next === null ? found.reviews : [...found.reviews, ...rest];
    if (older || !rest.length || found.next === null) next = found.next;
    list();
  }

  async function refresh(older = false) {
    try {
      const cursor = older ? `&cursor=${path(next)}` : "";
      take(await api(`/v1/fraud/reviews?limit=${AT_ONCE}${cursor}`), older);
      text(page.trouble, "");
    } catch (error) {
      text(page.trouble, `The queue may be old: ${error.message}`);
    }
  }

  function given(id, verdict) {
    all = all.filter((one) => one.transaction_id !== id);
    show(verdict);
    refresh();
  }

  async function show(judged = null) {
    const id = chosen();
    if (!id) return;
    const mine = ++shown;
    try {
      const found = await api(`/v1/fraud/reviews/${path(id)}`);
      const history = await api(`/v1/fraud/customers/${path(found.payment.customer_id)}/payments`);
      if (mine !== shown) return;
      if (judged) found.verdict = judged;
      page.about.replaceChildren(...drawn(found, history.payments, (verdict) => given(id, verdict)));
      page.about.querySelector("h2").focus();
    } catch (error) {
      if (mine === shown) page.about.replaceChildren(el("p", { class: "trouble", role: "alert" }, error.message));
    }
    list();
  }

  take(await begin(`/v1/fraud/reviews?limit=${AT_ONCE}`, (why) => text(page.trouble, why)));
  text(page.trouble, "");
  page.more.addEventListener("click", () => refresh(true));
  addEventListener("hashchange", () => show());
  setInterval(() => document.visibilityState === "visible" && refresh(), EVERY_MS);
  show();
}

run();
