// The newest tick of each instrument.

import { byId, element, full, price, second } from "./words.js";

const PAGE = 12;
const ticks = new Map();

export function reset() {
  ticks.clear();
}

export function take(fresh) {
  for (const tick of fresh) {
    const key = `${tick.tenant}|${tick.source}|${tick.instrument}`;
    const before = ticks.get(key);
    ticks.set(key, { ...tick, way: before ? Math.sign((tick.price ?? 0) - (before.price ?? 0)) : 0 });
  }
  draw();
}

function draw() {
  const newest = [...ticks.values()].sort((a, b) => (a.event_time < b.event_time ? 1 : -1)).slice(0, PAGE);
  newest.sort((a, b) => (a.instrument < b.instrument ? -1 : 1));
  byId("ticks-empty").hidden = newest.length > 0;
  byId("ticks").querySelector("table").hidden = newest.length === 0;
  byId("ticks-rows").replaceChildren(...newest.map(line));
}

function line(tick) {
  const made = element("tr");
  const name = element("td");
  name.append(element("span", tick.instrument), element("span", tick.source, { class: "kind" }));
  const cell = element("td", price(tick.price, decimals(tick.price)), { class: `num lmp${tick.price < 0 ? " neg" : ""}` });
  if (tick.way) cell.classList.add(tick.way > 0 ? "flash-rose" : "flash-fell");
  tick.way = 0;
  const time = element("td", second(tick.event_time, "UTC"), { class: "num age", title: full(tick.event_time, "UTC") });
  made.append(name, cell, element("td", tick.quantity === null ? "—" : tick.quantity.toLocaleString("en"), { class: "num" }), time);
  return made;
}

/** At least two decimals, and as many as the price was sent with, up to four. */
const decimals = (value) => (value === null ? 2 : Math.min(4, Math.max(2, (String(value).split(".")[1] ?? "").length)));
