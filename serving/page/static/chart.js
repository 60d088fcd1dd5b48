// Charts over time by uPlot: lines, a band behind one, a threshold; colours follow the theme.

import { el, text, NONE } from "/page/dom.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const charts = new Set();
dark.addEventListener("change", () => charts.forEach((one) => one.rebuild()));

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// chart({title, lines: [{label, colour}], format, band, height}): `set(times, values)` with times in
// seconds and one array of values for each line; with `band`, two arrays more: its low and high end.
// `name(title)` gives it another title.
export function chart({ title, lines, format = String, band = null, height = 150, min = 0 }) {
  const holder = el("div", { class: "plot" });
  const figures = lines.map(() => el("b", {}, NONE));
  const legend = el(
    "ul",
    { class: "legend" },
    lines.map((line, place) => {
      const mark = el("i", { "aria-hidden": "true" });
      mark.style.setProperty("background", `var(${line.colour})`);
      return el("li", {}, mark, el("span", {}, line.label), figures[place]);
    }),
  );
  const canvas = el("div", { class: "canvas", role: "img", "aria-label": title });
  const heading = el("h3", {}, title);
  holder.append(heading, legend, canvas);

  let plot = null;
  let data = [[], ...lines.map(() => []), ...(band ? [[], []] : [])];

  const options = () => {
    const axis = {
      stroke: css("--dim"),
      grid: { stroke: css("--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const first = lines.length + 1;
    return {
      width: Math.max(120, canvas.clientWidth),
      height,
      padding: [6, 6, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { x: { time: true }, y: { range: (_, low, high) => bounds(low, high, min) } },
      axes: [
        { ...axis, space: 70, size: 24, values: (_, at) => at.map((one) => new Date(one * 1000).toLocaleTimeString("en-GB")) },
        { ...axis, size: 52, space: 32, values: (_, at) => at.map((one) => format(one)) },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          stroke: css(line.colour),
          width: line.width ?? 1.8,
          dash: line.dash,
          fill: line.fill ? `${css(line.colour)}22` : undefined,
          points: { show: false },
          spanGaps: line.spans ?? false,
        })),
        ...(band ? [{ stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } }] : []),
      ],
      bands: band ? [{ series: [first + 1, first], fill: `${css(band.colour)}2e` }] : [],
    };
  };

  const made = {
    element: holder,
    rebuild() {
      if (!canvas.clientWidth) return;
      plot?.destroy();
      plot = new uPlot(options(), data, canvas);
    },
    name(other) {
      text(heading, other);
    },
    set(times, values, ends = []) {
      data = [times, ...values, ...(band ? ends : [])];
      if (plot) plot.setData(data);
      else made.rebuild();
      const now = values.map((one) => one.findLast((value) => value !== null && value !== undefined));
      now.forEach((value, place) => text(figures[place], value === undefined ? NONE : format(value)));
      const told = lines.map((line, place) => `${line.label} ${figures[place].textContent}`);
      canvas.setAttribute("aria-label", `${heading.textContent}. Now: ${told.join(", ")}`);
    },
  };
  new ResizeObserver(() => {
    if (!plot) made.rebuild();
    else if (canvas.clientWidth) plot.setSize({ width: canvas.clientWidth, height });
  }).observe(canvas);
  charts.add(made);
  return made;
}

function bounds(low, high, min) {
  if (low === null || high === null || low === undefined) return [0, 1];
  const bottom = min === null ? low : Math.min(min, low);
  const room = (high - bottom || Math.abs(high) || 1) * 0.12;
  return [min === null ? bottom - room : bottom, high + room];
}

export const COLOURS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
