// The state of the node: readiness, feeds, lag, dead letters. Asked for now and then; prices have their own stream.

import { age, byId, clock, day, element, full, hour, plural, zoneOf } from "./words.js";

const EVERY_MS = 5000;
const ORDER = ["failed", "stale", "fresh", "quiet", "none"];
const WORDS = { fresh: "fresh", stale: "stale", failed: "failed", quiet: "pushed", none: "no data yet" };

let last = null;
const resolutions = new Map();

/** Seconds of the shortest bar that can be made for a market run. */
export const resolution = (market, run) => resolutions.get(`${market} ${run}`) ?? 0;

export function start(changed) {
  const ask = async () => {
    try {
      const answer = await fetch("/v1/feeds");
      if (!answer.ok) throw new Error((await answer.json()).detail);
      take(await answer.json());
      changed();
    } catch {
      pill("state-ready", "bad", "not answering", "The node does not answer");
    }
  };
  ask();
  setInterval(() => document.hidden || ask(), EVERY_MS);
  byId("letters-fold").addEventListener("toggle", letters);
  byId("state-letters").addEventListener("click", () => { byId("letters-fold").open = true; });
  if (location.hash === "#letters") byId("letters-fold").open = true;
}

function take(overview) {
  const more = last && last.open_letters !== overview.open_letters;
  last = overview;
  byId("emulated").hidden = !overview.emulated;
  clock.skewMs = Date.parse(overview.now) - Date.now();
  for (const feed of overview.feeds) {
    clock.zones.set(feed.market, feed.clock);
    for (const run of [...feed.runs, feed]) {
      clock.zones.set(`${feed.market} ${run.market_run}`, feed.clock);
      resolutions.set(`${feed.market} ${run.market_run}`, run.resolution_s);
    }
  }
  draw();
  if (more) letters();
}

/** Draw what was last heard. */
export function draw() {
  if (!last) return;
  drawState();
  const feeds = [...last.feeds].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.topic < b.topic ? -1 : 1));
  const none = feeds.filter((feed) => feed.state === "none");
  byId("feeds-list").replaceChildren(...feeds.filter((feed) => feed.state !== "none").map(line));
  const fold = byId("feeds-none");
  fold.hidden = none.length === 0;
  fold.querySelector("summary").textContent = `${plural(none.length, "feed")} without data yet`;
  fold.querySelector("ul").replaceChildren(...none.map(line));
}

function drawState() {
  const reasons = Object.entries(last.reasons).map(([name, why]) => `${name}: ${why}`);
  pill("state-ready", last.ready ? "ok" : "bad", last.ready ? "ready" : "not ready", reasons.join("\n"));
  const count = (state) => last.feeds.filter((feed) => feed.state === state).length;
  const [fresh, stale, failed] = [count("fresh"), count("stale"), count("failed")];
  const parts = [`${fresh} fresh`, stale && `${stale} stale`, failed && `${failed} failed`].filter(Boolean);
  pill("state-feeds", failed ? "bad" : stale ? "warn" : fresh ? "ok" : "wait", `feeds: ${parts.join(", ")}`, "Feeds whose newest interval came in time");
  const lag = (last.lag.normalise ?? 0) + (last.lag.project ?? 0);
  const each = Object.entries(last.lag).map(([name, records]) => `${name}: ${records}`).join("\n");
  pill("state-lag", lag > 100 ? "warn" : "ok", `lag ${plural(lag, "record")}`, `Records yet to be carried\n${each}`);
  pill("state-letters", last.open_letters ? "warn" : "ok", plural(last.open_letters, "dead letter"), "What could not be read");
  byId("letters-note").textContent = last.open_letters ? `${last.open_letters.toLocaleString("en")} open` : "none open";
}

function pill(id, tone, text, title) {
  const made = byId(id);
  made.dataset.tone = tone;
  if (made.textContent !== text) made.textContent = text;
  made.title = title;
}

function line(feed) {
  const made = element("li");
  const name = element("span");
  name.append(element("b", feed.topic), " ", element("span", WORDS[feed.state], { class: "word", "data-state": feed.state }));
  made.append(element("span", "", { class: "dot", "data-state": feed.state, "aria-hidden": "true" }), name, watermark(feed), element("span", detail(feed), { class: "sub" }));
  return made;
}

function watermark(feed) {
  if (!feed.watermark) return element("span");
  // A feed about dates has a date here; it is no instant of any zone.
  if (!feed.watermark.includes("T")) return element("span", `to ${feed.watermark}`, { class: "mark", title: `Newest date: ${feed.watermark}` });
  const zone = zoneOf(feed.market, feed.market_run);
  const text = `to ${day(feed.watermark, zone)} ${hour(feed.watermark, zone)}`;
  return element("span", text, { class: "mark", title: `End of the newest interval: ${full(feed.watermark, zone)}` });
}

function detail(feed) {
  if (feed.error) return feed.error;
  const parts = [feed.title];
  if (feed.state === "stale") parts.push(`due ${age(feed.stale_at)} ago`);
  if (feed.rows) parts.push(plural(feed.rows, "row"));
  if (feed.lag) parts.push(`lag ${plural(feed.lag, "record")}`);
  if (feed.open_letters) parts.push(plural(feed.open_letters, "dead letter"));
  if (feed.state === "none" && feed.access.kind !== "none") parts.push(`live use needs ${feed.access.env.join(", ")}`);
  return parts.join(" · ");
}

async function letters() {
  if (!byId("letters-fold").open) return;
  const answer = await fetch("/v1/dead-letters?status=open&limit=50").catch(() => null);
  if (!answer?.ok) return;
  const { total, letters: found } = await answer.json();
  const items = found.map((letter) => {
    const item = element("li", letter.reason);
    const where = letter.line === null ? "whole payload" : `line ${letter.line}`;
    item.append(element("small", `${letter.topic.replace(/^dlq\./, "")} · ${where} · ${full(letter.received_at, "UTC")} · c254 dlq show ${letter.id}`));
    return item;
  });
  if (total > found.length) items.push(element("li", `${(total - found.length).toLocaleString("en")} more: c254 dlq list`));
  byId("letters-list").replaceChildren(...(items.length ? items : [element("li", "Everything received could be read.")]));
}
