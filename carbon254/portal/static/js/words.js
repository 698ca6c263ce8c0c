// Words and numbers as readers see them. Times arrive in UTC and are told in UTC or in the market's own clock.

const formats = new Map();

function format(zone, parts) {
  const key = zone + JSON.stringify(parts);
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...parts });
    } catch {
      made = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hourCycle: "h23", ...parts });
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

export const clock = { choice: localStorage.getItem("clock") === "market" ? "market" : "utc", skewMs: 0, zones: new Map() };

/** The server's now, so that ages are right where its clock is not this machine's. */
export const now = () => Date.now() + clock.skewMs;

export const zoneOf = (market, run) =>
  clock.choice === "utc" ? "UTC" : clock.zones.get(`${market} ${run}`) ?? clock.zones.get(market) ?? "UTC";

export const hour = (moment, zone) => format(zone, { hour: "2-digit", minute: "2-digit" }).format(new Date(moment));
export const second = (moment, zone) =>
  format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(moment));
export const day = (moment, zone) => format(zone, { day: "2-digit", month: "short" }).format(new Date(moment));
export const full = (moment, zone) =>
  format(zone, { dateStyle: "medium", timeStyle: "long" }).format(new Date(moment));

/** "3 s", "12 min", "4 h", "2 d": how long ago, or "in 4 h" when it is still to come. */
export function age(moment, from = now()) {
  const seconds = Math.round((from - new Date(moment)) / 1000);
  const ahead = seconds < -5;
  const size = Math.max(0, ahead ? -seconds : seconds);
  const text = size < 60 ? `${size} s` : size < 5400 ? `${Math.round(size / 60)} min`
    : size < 172800 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`;
  return ahead ? `in ${text}` : text;
}

/** Two decimals and a real minus sign; a dash where there is no price. */
export const price = (value, digits = 2) =>
  value === null || value === undefined ? "—" : value.toFixed(digits).replace("-", "−");

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** A new element with text and attributes. Text is never read as markup. */
export function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  return made;
}

export const byId = (id) => document.getElementById(id);
