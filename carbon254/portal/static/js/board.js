// The table of latest prices: filters, order, changes in place.

import { age, byId, clock, day, element, full, hour, now, plural, price, zoneOf } from "./words.js";

const PAGE = 200;
const KINDS = ["hub", "zone", "interface"];
const BADGES = {
  assumed_known_at: ["assumed", "assumed", "When it was known was not observed: it is the interval plus the publication delay"],
  incomplete_components: ["incomplete", "incomplete", "The components do not add up to the price, or one is missing"],
  retracted: ["retracted", "retracted", "The provider withdrew this price in a corrected file"],
  missing_price: ["no price", "missing", "The provider published the interval without a price"],
  not_current: ["superseded", "incomplete", "The provider marks this version as superseded"],
  ambiguous_time: ["ambiguous hour", "incomplete", "A repeated hour whose pass could not be told"],
  off_grid: ["off grid", "", "The interval does not end on the stream's grid"],
  late: ["late", "incomplete", "Received later than the stream's service level allows"],
};

const rows = new Map();
const shown = new Map();
const view = { search: "", market: null, sort: "place", down: false, limit: PAGE, current: null };
let onPick = () => {};
let drawing = false;
let settled = false;

const keyOf = (row) => `${row.market}|${row.market_run}|${row.location_id}`;
export const isStale = (row) => row.stale_at !== null && now() > Date.parse(row.stale_at);
export const current = () => rows.get(view.current) ?? null;

/** Forget everything: a snapshot follows. */
export function reset() {
  rows.clear();
  settled = false;
}

/** Take rows in. Known places change in place; new ones redraw the table. */
export function take(fresh) {
  let structure = !settled;
  for (const row of fresh) {
    const key = keyOf(row);
    const before = rows.get(key);
    if (before && before.lmp !== null && row.lmp !== null && before.lmp !== row.lmp) row.change = row.lmp - before.lmp;
    rows.set(key, row);
    structure ||= !before;
    if (before && shown.has(key)) paint(shown.get(key), row, true);
  }
  settled = true;
  if (structure || view.sort !== "place") draw();
  return fresh.some((row) => keyOf(row) === view.current);
}

/** Draw the table once, at the browser's next frame. */
export function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    drawChips();
    drawRows();
  });
}

/** Ages and staleness move with time, not with messages. */
export function tick() {
  for (const [key, line] of shown) paintTime(line, rows.get(key));
}

export function pick(key) {
  view.current = key;
  for (const [other, line] of shown) mark(line, other === key);
  onPick(rows.get(key));
}

/** The first row on the page, for a chart to start with. */
export const first = () => shown.keys().next().value ?? null;

export function start(picked) {
  onPick = picked;
  byId("search").addEventListener("input", (event) => {
    view.search = event.target.value.trim().toLowerCase();
    view.limit = PAGE;
    draw();
  });
  byId("more").addEventListener("click", () => {
    view.limit += PAGE;
    draw();
  });
  for (const head of document.querySelectorAll("[data-sort]")) {
    head.querySelector("button").addEventListener("click", () => sortBy(head.dataset.sort));
  }
  byId("prices-rows").addEventListener("click", (event) => {
    const line = event.target.closest("tr");
    if (line) pick(line.dataset.key);
  });
}

function sortBy(name) {
  // A third click goes back to the desk's own order: hubs and zones first.
  if (view.sort !== name) Object.assign(view, { sort: name, down: name === "lmp" || name === "interval" });
  else if (view.down === (name === "lmp" || name === "interval")) view.down = !view.down;
  else Object.assign(view, { sort: "place", down: false });
  for (const head of document.querySelectorAll("[data-sort]")) {
    if (head.dataset.sort === view.sort) head.setAttribute("aria-sort", view.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  draw();
}

const rank = (row) => (KINDS.indexOf(row.location_type) + KINDS.length + 1) % (KINDS.length + 1);
const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const length = (row) => Date.parse(row.interval_end) - Date.parse(row.interval_start);
// The desk's own order: hubs and zones first, and of a market the shortest intervals, which are the live ones.
const byPlace = (a, b) =>
  rank(a) - rank(b) || text(a.market, b.market) || length(a) - length(b) || text(a.market_run, b.market_run) || text(a.location, b.location);
const ORDERS = {
  place: byPlace,
  market: (a, b) => text(a.market, b.market) || text(a.market_run, b.market_run) || byPlace(a, b),
  location: (a, b) => text(a.location, b.location) || byPlace(a, b),
  interval: (a, b) => text(a.interval_start, b.interval_start) || byPlace(b, a),
  lmp: (a, b) => (a.lmp ?? -Infinity) - (b.lmp ?? -Infinity) || byPlace(a, b),
  known: (a, b) => text(b.known_at, a.known_at) || byPlace(a, b),
};

function wanted() {
  const words = view.search.split(/\s+/).filter(Boolean);
  const found = [...rows.values()].filter((row) => {
    if (view.market && row.market !== view.market) return false;
    const name = `${row.market} ${row.market_run} ${row.location} ${row.location_id} ${row.location_type ?? ""}`.toLowerCase();
    return words.every((word) => name.includes(word));
  });
  found.sort(ORDERS[view.sort]);
  return view.down ? found.reverse() : found;
}

function drawChips() {
  const counts = new Map();
  for (const row of rows.values()) counts.set(row.market, (counts.get(row.market) ?? 0) + 1);
  const names = [...counts.keys()].sort();
  const signature = [view.market, ...names.map((name) => `${name} ${counts.get(name)}`)].join();
  const box = byId("markets");
  if (box.dataset.signature === signature) return;
  box.dataset.signature = signature;
  const chip = (name, label) => {
    const button = element("button", label, { type: "button", class: "chip", "aria-pressed": String(view.market === name) });
    button.addEventListener("click", () => {
      Object.assign(view, { market: name, limit: PAGE });
      draw();
    });
    return button;
  };
  const all = names.length ? [chip(null, "All")] : [];
  const focused = box.contains(document.activeElement) ? document.activeElement.textContent : null;
  box.replaceChildren(...all, ...names.map((name) => chip(name, `${name} ${counts.get(name).toLocaleString("en")}`)));
  [...box.children].find((button) => button.textContent === focused)?.focus();
}

function drawRows() {
  const found = wanted();
  const page = found.slice(0, view.limit);
  const keep = new Map(shown);
  shown.clear();
  const lines = page.map((row) => {
    const key = keyOf(row);
    const line = keep.get(key) ?? newLine(key);
    paint(line, row, false);
    mark(line, key === view.current);
    shown.set(key, line);
    return line;
  });
  const focused = document.activeElement?.closest?.("#prices-rows tr")?.dataset.key;
  byId("prices-rows").replaceChildren(...lines);
  if (focused && shown.has(focused)) shown.get(focused).querySelector("button").focus({ preventScroll: true });
  byId("prices-table").hidden = found.length === 0;
  const left = found.length - page.length;
  byId("more").hidden = left <= 0;
  byId("more").textContent = `Show ${Math.min(PAGE, left)} of ${plural(left, "more place")}`;
  byId("prices-count").textContent = rows.size ? counted(found.length) : "";
  drawEmpty(found.length);
}

const counted = (count) => (count === rows.size ? plural(count, "place") : `${count.toLocaleString("en")} of ${plural(rows.size, "place")}`);

function drawEmpty(count) {
  const box = byId("prices-empty");
  box.hidden = count > 0 || !settled;
  if (box.hidden) return;
  if (rows.size) {
    box.replaceChildren(element("p", "No place matches. Clear the search or choose All."));
    return;
  }
  const step = (words, command) => {
    const item = element("li", words);
    item.append(element("code", command));
    return item;
  };
  const steps = element("ol");
  steps.append(
    step("See seven markets at once, with no internet: ", "c254 demo"),
    step("Or bring one market's own prices: ", "c254 feeds run --feed iso.rt.lmp.nyiso --from now-1d --to now".replace("now-1d", new Date(now() - 864e5).toISOString().slice(0, 10))),
  );
  box.replaceChildren(element("h3", "No prices in this workspace yet"), element("p", "They show here as soon as the first ones are stored."), steps);
}

function newLine(key) {
  const line = element("tr", "", { "data-key": key });
  const cell = (name) => line.appendChild(element("td", "", { class: name }));
  const [market, place] = [cell("market"), cell("where")];
  market.append(element("span"), element("small"));
  place.append(element("button", "", { type: "button", class: "place" }), element("span", "", { class: "kind" }), element("span", "", { class: "badges" }), element("small", "", { class: "sub" }));
  cell("when");
  cell("num lmp").append(element("span"), element("small"));
  cell("num age");
  return line;
}

function mark(line, chosen) {
  if (chosen) line.setAttribute("aria-current", "true");
  else line.removeAttribute("aria-current");
}

function paint(line, row, changed) {
  const [market, place, when, lmp] = line.children;
  const zone = zoneOf(row.market, row.market_run);
  market.firstChild.textContent = row.market;
  market.lastChild.textContent = row.market_run;
  place.firstChild.textContent = row.location;
  place.children[1].textContent = KINDS.includes(row.location_type) ? row.location_type : "";
  place.lastChild.textContent = `${row.market} ${row.market_run}`;
  when.replaceChildren(element("span", `${day(row.interval_start, zone)} `, { class: "day" }), element("b", hour(row.interval_start, zone)), element("span", `–${hour(row.interval_end, zone)}`, { class: "end" }));
  when.title = `${full(row.interval_start, zone)} to ${full(row.interval_end, zone)}`;
  lmp.firstChild.textContent = price(row.lmp);
  lmp.classList.toggle("neg", row.lmp < 0);
  lmp.classList.toggle("none", row.lmp === null);
  paintChange(lmp, row.change);
  if (changed && row.change) flash(lmp, row.change > 0 ? "rose" : "fell");
  paintTime(line, row);
}

function paintChange(cell, change) {
  const note = cell.lastChild;
  note.textContent = change ? `${change > 0 ? "▲" : "▼"} ${price(Math.abs(change))}` : "";
  note.className = change > 0 ? "rose" : "fell";
}

function flash(cell, way) {
  cell.classList.remove("flash-rose", "flash-fell");
  void cell.offsetWidth;
  cell.classList.add(`flash-${way}`);
}

function paintTime(line, row) {
  const known = line.lastChild;
  known.textContent = age(row.known_at);
  known.title = `Known at ${full(row.known_at, zoneOf(row.market, row.market_run))} (${row.known_basis})`;
  const stale = isStale(row);
  const signature = `${stale} ${row.quality} ${row.flag_names.join()}`;
  if (line.dataset.marks === signature) return;
  line.dataset.marks = signature;
  line.dataset.stale = String(stale);
  const badges = row.flag_names.filter((name) => name in BADGES).map((name) => badge(...BADGES[name]));
  if (stale) badges.unshift(badge("stale", "stale", `A newer price was due by ${full(row.stale_at, zoneOf(row.market, row.market_run))}`));
  if (row.quality === "held") badges.unshift(badge("held", "held", "A newer price did not pass a quality check and waits in the table quarantine; this is the last one that passed"));
  line.querySelector(".badges").replaceChildren(...badges);
}

const badge = (label, kind, meaning) => element("span", label, { class: `badge ${kind}`, title: meaning });

/** Names the clock in the table's head. */
export function showClock() {
  byId("clock-name").textContent = clock.choice === "utc" ? "UTC" : "market clock";
  draw();
}
