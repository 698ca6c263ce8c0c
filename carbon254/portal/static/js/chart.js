// Bars of one place. The chart script is large, so it is loaded when the first place is picked.

import { byId, clock, day, element, full, hour, price, zoneOf } from "./words.js";

const SPANS_H = { "5m": 12, "15m": 36, "1h": 168, "1d": 24 * 60 };
const SECONDS = { "5m": 300, "15m": 900, "1h": 3600, "1d": 86400 };
const TICKS = 6;

const view = { row: null, width: "1h", chosen: false, resolution: () => 0, asked: 0 };
let script = null;

function plotly() {
  script ??= new Promise((done, failed) => {
    const tag = element("script", "", { src: "/static/plotly.min.js" });
    tag.onload = () => done(window.Plotly);
    tag.onerror = () => {
      script = null;
      failed(new Error("the chart script did not load; is the node still running?"));
    };
    document.head.append(tag);
  });
  return script;
}

export function start(resolution) {
  view.resolution = resolution;
  for (const button of document.querySelectorAll("[data-width]")) {
    button.addEventListener("click", () => {
      Object.assign(view, { width: button.dataset.width, chosen: true });
      refresh();
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
}

/** Show the bars of a row of the board. */
export function show(row) {
  view.row = row;
  fitWidth();
  refresh();
}

/** A market that publishes hours has no five-minute bars. */
function fitWidth() {
  const shortest = view.resolution(view.row.market, view.row.market_run);
  for (const button of document.querySelectorAll("[data-width]")) {
    button.disabled = SECONDS[button.dataset.width] < shortest;
    button.title = button.disabled ? "This market run publishes longer intervals" : "";
  }
  if (SECONDS[view.width] < shortest) view.width = "1h";
}

/** Ask again and draw. An answer that comes after a newer question is dropped. */
export async function refresh() {
  if (!view.row) return;
  const asked = ++view.asked;
  paintHead();
  try {
    const [bars, library] = await Promise.all([fetchBars(), plotly()]);
    if (asked === view.asked) draw(bars, library);
  } catch (error) {
    if (asked === view.asked) say(`The bars could not be read: ${error.message}`);
  }
}

function paintHead() {
  const { row, width } = view;
  byId("chart-title").replaceChildren(row.location, element("small", `${row.market} ${row.market_run}`));
  for (const button of document.querySelectorAll("[data-width]")) {
    button.setAttribute("aria-pressed", String(button.dataset.width === width));
  }
}

async function fetchBars() {
  const { row, width } = view;
  const end = new Date(Date.parse(row.interval_end) + SECONDS[width] * 1000);
  const start = new Date(end - SPANS_H[width] * 36e5);
  const asked = new URLSearchParams({
    location: row.location_id, market: row.market, run: row.market_run, width,
    start: start.toISOString(), end: end.toISOString(),
  });
  const answer = await fetch(`/v1/bars?${asked}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body.rows.filter((bar) => bar.open !== null);
}

function say(words) {
  byId("chart-empty").textContent = words;
  byId("chart-empty").hidden = false;
  byId("chart-plot").hidden = true;
}

function draw(bars, library) {
  if (!bars.length) {
    say(`No ${view.width} bars for this place yet. They are made a moment after its prices are stored.`);
    return;
  }
  const plot = byId("chart-plot");
  byId("chart-empty").hidden = true;
  plot.hidden = false;
  plot.setAttribute("aria-label", summary(bars));
  library.react(plot, [trace(bars)], layout(bars), { displayModeBar: false, responsive: true });
}

function summary(bars) {
  const last = bars.at(-1);
  return `${bars.length} bars of ${view.width} for ${view.row.location}; the last closed at ${price(last.close)} dollars per megawatt-hour`;
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function trace(bars) {
  const zone = zoneOf(view.row.market, view.row.market_run);
  const common = {
    // Instants stay in UTC, so that the repeated autumn hour is two bars; only the labels follow the clock.
    x: bars.map((bar) => bar.bar_start.replace("Z", "")),
    hoverinfo: "text",
    [bars.every((bar) => bar.count <= 1) ? "text" : "hovertext"]: bars.map((bar) => words(bar, zone)),
  };
  // A bar of one price has no body to draw: a stepped line says the same and can be read.
  if (bars.every((bar) => bar.count <= 1)) {
    const last = bars.at(-1);
    return { ...common, type: "scatter", mode: "lines", x: [...common.x, last.bar_end.replace("Z", "")], y: [...bars.map((bar) => bar.close), last.close], line: { color: color("--accent"), width: 1.8, shape: "hv" } };
  }
  const side = (name, filled) => ({ line: { color: color(name), width: 1.3 }, fillcolor: filled ? color(name) : color("--panel") });
  return {
    ...common,
    type: "candlestick",
    open: bars.map((bar) => bar.open), high: bars.map((bar) => bar.high),
    low: bars.map((bar) => bar.low), close: bars.map((bar) => bar.close),
    increasing: side("--up", false), decreasing: side("--down", true),
  };
}

function words(bar, zone) {
  const prices = `${bar.count}${bar.expected ? ` of ${bar.expected}` : ""} price${bar.count === 1 && !bar.expected ? "" : "s"}`;
  return `${full(bar.bar_start, zone)}<br>open ${price(bar.open)} · high ${price(bar.high)}<br>low ${price(bar.low)} · close ${price(bar.close)}<br>mean ${price(bar.mean)} · ${prices}`;
}

function layout(bars) {
  const zone = zoneOf(view.row.market, view.row.market_run);
  const every = Math.max(1, Math.ceil(bars.length / TICKS));
  const ticked = bars.filter((_, index) => index % every === 0).map((bar) => bar.bar_start);
  const label = (moment) => (view.width === "1d" ? day(moment, zone) : `${hour(moment, zone)}<br>${day(moment, zone)}`);
  const grid = { gridcolor: color("--line"), zerolinecolor: color("--muted"), linecolor: color("--line") };
  return {
    autosize: true,
    margin: { l: 52, r: 14, t: 8, b: 40 },
    paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { color: color("--muted"), size: 11.5, family: "system-ui, sans-serif" },
    xaxis: { ...grid, rangeslider: { visible: false }, showgrid: false, tickvals: ticked.map((moment) => moment.replace("Z", "")), ticktext: ticked.map(label), fixedrange: false, title: { text: "" } },
    yaxis: { ...grid, title: { text: "$/MWh", standoff: 4 }, automargin: true, fixedrange: true },
    hoverlabel: { bgcolor: color("--panel"), bordercolor: color("--line"), font: { color: color("--ink") }, align: "left" },
    dragmode: "zoom", showlegend: false,
    // Zoom stays while the same place is redrawn.
    uirevision: `${view.row.market} ${view.row.location_id} ${view.width} ${clock.choice}`,
  };
}
