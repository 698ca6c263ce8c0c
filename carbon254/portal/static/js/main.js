// The page: joins the stream, the board, the chart and the state of the node.

import * as board from "./board.js";
import * as chart from "./chart.js";
import * as feeds from "./feeds.js";
import * as sql from "./sql.js";
import { follow } from "./stream.js";
import * as ticks from "./ticks.js";
import { byId, clock, second } from "./words.js";

const BAR_REFRESH_MS = 15000;
const NARROW = matchMedia("(max-width: 1080px)");
let chosen = false;
let stale = false;

board.start((row) => {
  chosen = true;
  chart.show(row);
  if (NARROW.matches) byId("chart").scrollIntoView({ block: "nearest" });
});
chart.start(feeds.resolution);
sql.start();

// Market clocks and resolutions come with the feeds; the board waits for neither.
let zones = 0;
feeds.start(() => {
  if (clock.zones.size !== zones) {
    zones = clock.zones.size;
    board.showClock();
  }
});

follow("/v1/stream/prices", {
  state: connection,
  reset: () => {
    board.reset();
    ticks.reset();
  },
  prices: (rows) => {
    stale = board.take(rows) || stale;
    if (!chosen && rows.length && !NARROW.matches) requestAnimationFrame(pickFirst);
  },
  ticks: ticks.take,
});

/** Something to look at from the start: the first place of the board, once its market's clock is known. */
function pickFirst() {
  if (chosen) return;
  const key = board.first();
  if (key && clock.zones.size) board.pick(key);
  else setTimeout(pickFirst, 100);
}

let lostAt = null;

function connection(state) {
  const pill = byId("state-live");
  pill.dataset.tone = { live: "ok", lost: "bad", connecting: "wait" }[state];
  pill.textContent = { live: "live", lost: "connection lost", connecting: "connecting" }[state];
  const banner = byId("banner");
  if (state === "live") {
    lostAt = null;
    banner.hidden = true;
  } else if (state === "lost" && lostAt === null) {
    lostAt = new Date();
    banner.textContent = `Connection lost at ${second(lostAt, "UTC")} UTC. What is shown was true then; trying again. If the node was stopped: c254 up`;
    banner.hidden = false;
  }
}

function showClock() {
  for (const button of document.querySelectorAll("[data-clock]")) {
    button.setAttribute("aria-pressed", String(button.dataset.clock === clock.choice));
  }
  board.showClock();
  feeds.draw();
  chart.refresh();
}

for (const button of document.querySelectorAll("[data-clock]")) {
  button.addEventListener("click", () => {
    clock.choice = button.dataset.clock;
    localStorage.setItem("clock", clock.choice);
    showClock();
  });
}
showClock();

setInterval(board.tick, 1000);
setInterval(() => {
  // Bars are made a moment after their prices, so a change is followed at ease.
  if (stale && !document.hidden) {
    stale = false;
    chart.show(board.current());
  }
}, BAR_REFRESH_MS);
