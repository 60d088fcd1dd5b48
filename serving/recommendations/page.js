// One visitor's clicks and the list made after them; and a session of one's own to click through.

import { el, text, rows, ago } from "/page/dom.js";

const SHOWN = 8;

function listed(label) {
  const list = el("ol", { class: "picks", "aria-label": label });
  return { list, show: (items, onclick = null) => show(list, items, onclick) };
}

// Which row an item has is its rank; an item that is new to the list lights up.
function show(list, items, onclick) {
  rows(
    list,
    items.slice(0, SHOWN),
    (one) => one.item,
    (one) => {
      const name = onclick ? el("button", { class: "plain", onclick: () => onclick(one.item) }, one.item) : el("span", {}, one.item);
      return el("li", {}, name, el("small"));
    },
    (row, one) => text(row.lastChild, one.reason),
  );
}

function own(root, page) {
  const clicked = [];
  const trail = el("p", { class: "note" });
  const { list, show: put } = listed("The list for your session");
  const again = el("button", { onclick: () => restart() }, "Begin anew");
  const trouble = el("p", { class: "trouble", role: "status" });
  root.append(el("h3", {}, "Be the visitor: click an item"), trail, list, trouble, el("p", { class: "act" }, again));
  let asked = 0;

  async function ask() {
    const mine = ++asked;
    try {
      const found = await page.api("/v1/recommendations/session", { items: clicked, limit: SHOWN, repeats: false });
      if (mine !== asked) return;
      text(trouble, "");
      put(found.items, click);
    } catch (error) {
      text(trouble, error.message);
    }
    text(trail, clicked.length ? `You clicked ${clicked.slice(-6).join(", ")}` : "Nothing clicked yet: these are popular.");
    again.disabled = !clicked.length;
  }
  function click(item) {
    clicked.push(item);
    if (clicked.length > 200) clicked.shift();
    ask();
  }
  function restart() {
    clicked.length = 0;
    ask();
  }
  return { ask, get idle() { return !clicked.length; } };
}

export default function draw(root, page) {
  const who = el("p", { class: "note" }, "Nobody has clicked in the last minute.");
  const trail = el("ul", { class: "trail", "aria-label": "The visitor's last clicks" });
  const { list, show: put } = listed("The visitor's list");
  const left = el("div", {}, el("h3", {}, "Watched"), who, trail, list);
  const right = el("div", {});
  root.append(el("div", { class: "halves" }, left, right));
  const mine = own(right, page);
  let popular = "";
  return (doc) => {
    const visitor = doc.visitor;
    if (visitor) {
      text(who, `${visitor.user_id}, ${visitor.clicks} clicks, list made ${ago(visitor.computed_at)}`);
      const first = visitor.clicks - visitor.clicked.length;
      const clicks = visitor.clicked.map((item, place) => ({ item, at: first + place }));
      rows(trail, clicks, (one) => `${visitor.session_id}/${one.at}`, (one) => el("li", {}, one.item));
      put(visitor.items);
    } else {
      text(who, "Nobody has clicked in the last minute.");
    }
    const now = JSON.stringify(doc.popular?.map((one) => one.item) ?? []);
    if (now !== popular && mine.idle) {
      popular = now;
      mine.ask();
    }
  };
}
