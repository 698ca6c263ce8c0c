// The SQL box: one statement, its answer as a table.

import { byId, element, plural } from "./words.js";

const MOST_SHOWN = 200;
const EXAMPLES = {
  "Rows by market": "SELECT market, market_run, count() AS rows, min(interval_start) AS first, max(interval_end) AS last\nFROM interval_prices\nGROUP BY market, market_run\nORDER BY market, market_run",
  "Negative prices": "SELECT market, location, interval_start, lmp\nFROM current_prices\nWHERE lmp < 0\nORDER BY lmp\nLIMIT 20",
  "Every version": "SELECT market, location, interval_start, lmp, known_at, known_basis, revision\nFROM interval_prices\nORDER BY market, location, interval_start DESC, known_at DESC\nLIMIT 20",
  "Tables": "SHOW TABLES",
};

export function start() {
  const text = byId("sql-text");
  text.value = Object.values(EXAMPLES)[0];
  for (const [name, statement] of Object.entries(EXAMPLES)) {
    const chip = element("button", name, { type: "button", class: "chip" });
    chip.addEventListener("click", () => {
      text.value = statement;
      run();
    });
    byId("sql-examples").append(chip);
  }
  byId("sql-form").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  });
}

async function run() {
  const button = document.querySelector("#sql-form .go");
  button.disabled = true;
  say("running …");
  try {
    const answer = await fetch("/v1/sql", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ sql: byId("sql-text").value, format: "json" }),
    });
    const body = await answer.json();
    if (answer.ok) show(body);
    else say(body.detail, "bad");
  } catch (error) {
    say(`The node does not answer: ${error.message}`, "bad");
  } finally {
    button.disabled = false;
  }
}

function say(words, tone = "") {
  byId("sql-note").textContent = words;
  byId("sql-note").dataset.tone = tone;
}

function show({ columns, rows, row_count: count, truncated, elapsed_ms: elapsed }) {
  const numbers = columns.map((column) => /^(u?int|float|double|decimal)/.test(column.type));
  const head = element("tr");
  head.append(...columns.map((column, i) => element("th", column.name, { scope: "col", class: numbers[i] ? "num" : null, title: column.type })));
  const line = (row) => {
    const made = element("tr");
    made.append(...row.map((value, i) => cell(value, numbers[i])));
    return made;
  };
  byId("sql-head").replaceChildren(head);
  byId("sql-rows").replaceChildren(...rows.slice(0, MOST_SHOWN).map(line));
  byId("sql-scroll").hidden = columns.length === 0;
  const shown = count > MOST_SHOWN ? `, the first ${MOST_SHOWN} shown` : "";
  say(`${truncated ? "more than " : ""}${plural(count, "row")}${shown} · ${elapsed.toLocaleString("en")} ms`);
}

function cell(value, number) {
  if (value === null) return element("td", "null", { class: number ? "num null" : "null" });
  return element("td", typeof value === "object" ? JSON.stringify(value) : String(value), { class: number ? "num" : null });
}
