// The live stream, with reconnection: the browser's own, and ours where the browser gives up.

const RETRY_MS = [1000, 2000, 4000, 8000];

/** Follow `url`; `on` has a function for each event name, and `state(live|lost|connecting)`. */
export function follow(url, on) {
  let source = null;
  let failures = 0;
  let timer = 0;

  function open() {
    clearTimeout(timer);
    source = new EventSource(url);
    source.onopen = () => {
      failures = 0;
      on.state("live");
    };
    source.onerror = () => {
      on.state("lost");
      source.close();
      timer = setTimeout(open, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
      failures += 1;
    };
    for (const name of ["reset", "prices", "ticks"]) {
      source.addEventListener(name, (event) => on[name](JSON.parse(event.data)));
    }
  }

  on.state("connecting");
  open();
  // A page put away must not hold one of the browser's few connections to this host.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && open());
}
