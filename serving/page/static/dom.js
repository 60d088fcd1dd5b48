// Elements, numbers and times, as every panel writes them.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined));
  return made;
}

// Write only what differs: layout and readers of the screen are left alone otherwise.
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export const NONE = "–";

export function number(value, digits = null) {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  const size = Math.abs(value);
  const places = digits ?? (size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2);
  return value.toLocaleString("en", { minimumFractionDigits: digits ?? 0, maximumFractionDigits: places });
}

export function percent(value, digits = 1) {
  return value === null || value === undefined ? NONE : `${number(100 * value, digits)} %`;
}

export function milliseconds(value) {
  if (value === null || value === undefined) return NONE;
  return value >= 1000 ? `${number(value / 1000, 1)} s` : `${number(value, value >= 100 ? 0 : 1)} ms`;
}

export function clock(iso) {
  return iso ? new Date(iso).toLocaleTimeString("en-GB") : NONE;
}

export function stamp(iso) {
  if (!iso) return NONE;
  const at = new Date(iso);
  const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${day} ${at.toLocaleTimeString("en-GB")}`;
}

export function ago(iso, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - new Date(iso).getTime()) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

// rows(body, items, key, make, change): keep one row for each item, in the order of the items.
export function rows(body, items, key, make, change) {
  const known = new Map([...body.children].map((one) => [one.dataset.key, one]));
  let at = null;
  for (const item of items) {
    const name = String(key(item));
    let row = known.get(name);
    if (!row) {
      row = make(item);
      row.dataset.key = name;
      row.classList.add("new");
    }
    known.delete(name);
    if (change) change(row, item);
    const place = at ? at.nextSibling : body.firstChild;
    if (row !== place) body.insertBefore(row, place);
    at = row;
  }
  for (const gone of known.values()) gone.remove();
}

export function table(caption, heads) {
  const body = el("tbody");
  const head = el("tr", {}, heads.map((one) => el("th", { scope: "col", class: one.class }, one.label ?? one)));
  const made = el("table", {}, el("caption", { class: "hidden" }, caption), el("thead", {}, head), body);
  // Reached by keyboard, as it may be wider than its panel.
  const frame = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, made);
  return { frame, body };
}
