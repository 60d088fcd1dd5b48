// Open alerts of all products, those that nobody has seen first; a button says that somebody has.

import { el, text, rows, table, ago, clock } from "/page/dom.js";

const PILLS = { critical: "bad", warning: "warn", info: "dim" };
const NAME = "millrace-name";

export default function draw(root, page) {
  const name = el("input", { id: "alerts-by", autocomplete: "name", maxlength: "100", placeholder: "your name" });
  name.value = sessionStorage.getItem(NAME) ?? "";
  name.addEventListener("change", () => sessionStorage.setItem(NAME, name.value));
  const form = el("form", { class: "look", onsubmit: (event) => event.preventDefault() }, el("label", { for: name.id }, "Acknowledge as"), name);
  const { frame, body } = table("Open alerts, those that nobody has seen first", ["Severity", "What", "Open since", "Seen by"]);
  const said = el("p", { class: "note", role: "status" });
  const none = el("p", { class: "note" }, "No alert is open.");
  root.append(form, frame, said, none);

  async function acknowledge(one, button) {
    button.disabled = true;
    try {
      await page.api("/v1/alerts/acknowledgements", { alert_id: one.alert_id, by: name.value.trim() });
      text(said, `${one.kind} of ${one.entity} is acknowledged.`);
    } catch (error) {
      button.disabled = false;
      text(said, `Not acknowledged: ${error.message}`);
    }
  }

  function make(one) {
    const button = el("button", { "aria-label": `Acknowledge ${one.kind} of ${one.entity}` }, "Acknowledge");
    button.addEventListener("click", () => acknowledge(one, button));
    return el(
      "tr",
      {},
      el("td", {}, el("span", { class: "pill" })),
      el("td", {}, el("b", {}, `${one.kind.replaceAll("_", " ")} `), el("small", {}, one.product), el("br"), el("span", { class: "reasons" })),
      el("td", {}, el("span"), el("br"), el("small")),
      el("td", {}, button, el("span")),
    );
  }

  function change(row, one) {
    const [severity, what, since, seen] = row.children;
    severity.firstChild.className = `pill ${PILLS[one.severity] ?? "dim"}`;
    text(severity.firstChild, one.severity);
    text(what.lastChild, one.message);
    text(since.firstChild, ago(one.opened_at));
    text(since.lastChild, one.silenced_until ? `silenced until ${clock(one.silenced_until)}` : "");
    seen.firstChild.hidden = one.acknowledged !== null;
    text(seen.lastChild, one.acknowledged ? one.acknowledged.by || "somebody" : "");
  }

  return (doc) => {
    const alerts = doc.alerts ?? [];
    none.hidden = alerts.length > 0;
    frame.hidden = form.hidden = !alerts.length;
    rows(body, alerts, (one) => one.alert_id, make, change);
  };
}
