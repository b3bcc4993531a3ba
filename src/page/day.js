const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;
// The history is requested when the status shows that it grew, and at least every minute; after an
// error, with a pause.
const HISTORY_PERIOD = 60000;
const HISTORY_PAUSE = 5000;
// The clock of the page stops while the reader's machine sleeps, the wall clock does not.
const SLEEP = 5000;
// Most entries that the page keeps, and the number shown at first.
const ENTRIES_MAX = 1000;
const SHOWN_AT_FIRST = 12;

// The classes of reasons for beats.
const CLASSES = {
  interval: "regular",
  startup: "start",
  config: "configuration",
  trigger: "trigger",
  restored: "outage over",
  address: "new address",
  failover: "failover",
  priority: "better uplink",
  service: "service back",
};

// The text of a transition, and its tone.
const HAPPENED = {
  started: () => ["linkbeat started", ""],
  uplink: ({ from, to }) => [
    to ? `uplink ${from ?? "none"} → ${to}` : `uplink ${from} lost, no other uplink`, ""],
  offline: () => ["offline: nothing outside answers", "bad"],
  online: ({ after }) => [`online: something outside answers${after}`, "good"],
  failing: ({ cause }) => [`beats fail: ${cause}`, "warn"],
  beating: ({ after }) => [`beats are acknowledged${after}`, "good"],
  clock_set: () => ["the clock was set", ""],
  standby_dead: ({ name }) => [`${name}, in reserve, does not reach the server`, "warn"],
  standby_ok: ({ name }) => [`${name}, in reserve, reaches the server`, "good"],
  service_down: ({ name }) => [`${name} is down`, "warn"],
  service_up: ({ name }) => [`${name} is back`, "good"],
};

// The transitions that each of these ends.
const ENDS = { online: "offline", beating: "failing" };

const NOTHING = { run: null, last_id: 0, entries: [], hours: [], counters: {}, clock_set: true };
// The known history: each entry has `t`, its time on the clock of this page.
let past = NOTHING;
// The status at the last request for the history, and the earliest time of the next request.
let seen = "";
let notBefore = 0;
// One request at a time: two would bring the same entries.
let following = false;
let shownMost = SHOWN_AT_FIRST;

// Requests new entries of the history, if there may be some.
async function follow() {
  if (following) return;
  const { pid, state, beats_acknowledged: beats, failures, uplink } = status;
  const present = [pid, state, beats, failures, uplink?.name].join();
  if (Math.abs(boot() - past.boot) > SLEEP) {
    // The times of the entries on the clock of the page are no longer right.
    past = NOTHING;
    notBefore = 0;
  }
  if (performance.now() < notBefore && present === seen) return;
  following = true;
  seen = present;
  notBefore = performance.now() + HISTORY_PERIOD;
  try {
    let history = await ask(`api/linkbeat/history?after=${past.last_id}`);
    if (past.run !== null && past.run !== history.run) {
      // The numbers of another run of the agent start again.
      past = NOTHING;
      history = await ask("api/linkbeat/history?after=0");
    }
    remember(history);
    showDay();
  } catch (error) {
    notBefore = performance.now() + HISTORY_PAUSE;
    say(byId("day-words"), `The history is not available: ${error.message || error.status}.`);
  } finally {
    following = false;
  }
}

// The start of the clock of the page, on the wall clock.
const boot = () => Date.now() - performance.now();

function remember(history) {
  const { run, last_id, hours, counters, clock_set, beats, transitions } = history;
  const moment = (entry) => ({ ...entry, t: performance.now() - entry.ago_ms });
  const added = [...beats, ...transitions].map(moment).sort((a, b) => a.id - b.id);
  const entries = [...past.entries, ...added].slice(-ENTRIES_MAX);
  past = { run, last_id, hours, counters, clock_set, entries, boot: boot() };
}

// Periods with the same tone, oldest first: `after` returns the tone from an entry on. The time between
// the last entry before a start of the agent and that start belongs to no period.
function stretches(entries, end, after) {
  const found = [];
  let open = null;
  let last = null;
  const turn = (t, tone) => {
    if (open?.tone === tone) return;
    if (open && t > open.from) found.push({ ...open, to: t });
    open = tone ? { tone, from: t } : null;
  };
  for (const entry of entries) {
    if (entry.kind === "started") turn(last ?? entry.t, null);
    turn(entry.t, after(entry));
    last = entry.t;
  }
  turn(end, null);
  return found;
}

// The state of the connection: good, bad (offline), or warn (online, but beats fail).
function connection() {
  let [net, beats] = ["", ""];
  return ({ kind, result }) => {
    if (kind === "started") [net, beats] = ["", ""];
    if (kind === "online" || kind === "offline") net = kind;
    if (kind === "beating" || kind === "failing") beats = kind;
    if (result === "acknowledged") [net, beats] = ["online", "beating"];
    if (net === "offline") return "bad";
    return beats === "failing" ? "warn" : net && "good";
  };
}

// Whether this uplink was in use.
function using(name) {
  let used = false;
  return ({ kind, to }) => {
    if (kind === "started") used = false;
    if (kind === "uplink") used = to === name;
    return used && "used";
  };
}

const total = (parts) => parts.reduce((sum, { from, to }) => sum + to - from, 0);

// The parts of the periods within the last 24 hours.
function today(parts, end) {
  const cut = parts.map((part) => ({ ...part, from: Math.max(part.from, end - DAY) }));
  return cut.filter(({ from, to }) => to > from);
}

function lane(name, parts, look, end, figure) {
  const place = (t) => 1 - (end - t) / DAY;
  const bars = parts.map(({ from, to, tone }) => bar(place(from), place(to), tone));
  return row("div", name, make("div", `track ${look}`, ...bars), figure);
}

function uplinkLanes(end) {
  const changes = past.entries.filter(({ kind, to }) => kind === "uplink" && to);
  return [...new Set(changes.map(({ to }) => to))].flatMap((name) => {
    const parts = today(stretches(past.entries, end, using(name)), end);
    return parts.length ? [lane(name, parts, "thin", end, span(total(parts) / 1000))] : [];
  });
}

function hourly(name, counts, tone) {
  const most = Math.max(1, ...counts);
  const bars = counts.map((count) => {
    const node = make("i", tone);
    // One among a hundred is still visible.
    node.style.height = count ? `${Math.max(10, (count / most) * 100)}%` : "0";
    return node;
  });
  const sum = counts.reduce((all, count) => all + count, 0);
  return row("div", name, make("div", "bars", ...bars), sum.toLocaleString("en"));
}

// Every sixth hour of the reader's clock, or ages if the camera has no time.
function axis() {
  const wall = new Date();
  const first = past.clock_set ? (wall.getHours() % 6) * HOUR + wall.getMinutes() * 60000 : 0;
  const marks = [mark(0, "now")];
  for (let back = first; back < DAY; back += 6 * HOUR) {
    const hour = new Date(wall - back).getHours();
    const name = past.clock_set ? `${String(hour).padStart(2, "0")}:00` : `−${back / HOUR} h`;
    // No mark where it would overlap another one.
    if (back > 0.08 * DAY && back < 0.98 * DAY) marks.push(mark(back, name));
  }
  return row("div", "", make("div", "axis", ...marks), "");
}

function mark(back, name) {
  const node = make("span", "", name);
  node.style.left = `${(1 - back / DAY) * 100}%`;
  return node;
}

// The summary of the day in a sentence.
function summary(day, end) {
  if (!day.length) return "There is no history yet.";
  const outages = day.filter(({ tone }) => tone === "bad");
  const length = (parts) => span(total(parts) / 1000);
  const longest = Math.max(...outages.map(({ from, to }) => to - from));
  const words = [["No outage", `One outage of ${length(outages)}`][outages.length]
    ?? `${outages.length} outages, ${length(outages)} in all, the longest ${span(longest / 1000)}`];
  const failing = day.filter(({ tone }) => tone === "warn");
  if (failing.length) words.push(`online, but not acknowledged, for ${length(failing)}`);
  const first = end - day[0].from;
  if (first < DAY - 60000) words.push(`the history begins ${span(first / 1000)} ago`);
  return `${words.join("; ")}.`;
}

function showDay() {
  const end = performance.now();
  const day = today(stretches(past.entries, end, connection()), end);
  const known = total(day);
  const online = known - total(day.filter(({ tone }) => tone === "bad"));
  // Rounded down: a day with an outage is never one of 100 %.
  const share = known ? `${(Math.floor((online / known) * 1000) / 10).toFixed(1)} %` : "–";
  say(byId("day-words"), summary(day, end));
  const lanes = [lane("online", day, "day", end, share), ...uplinkLanes(end)];
  byId("day").replaceChildren(...lanes, ...showHours(), axis());
  showReasons();
  showEvents();
}

// The hours as bars, and as a table for readers who cannot see the bars.
function showHours() {
  const known = new Map(past.hours.map((hour) => [hour.ago_h, hour]));
  const none = { beats: 0, immediate: 0, failed: 0 };
  const hours = Array.from({ length: 24 }, (_, nth) => known.get(23 - nth) ?? none);
  const cycle = hours.map(({ beats, immediate }) => beats - immediate);
  const failed = hours.map((hour) => hour.failed);
  byId("hours-table").hidden = !known.size;
  byId("hours").replaceChildren(...[...known.values()].reverse().map(hourLine));
  return [
    hourly("regular", cycle, ""),
    hourly("immediate", hours.map(({ immediate }) => immediate), "good"),
    ...(failed.some(Boolean) ? [hourly("failed", failed, "bad")] : []),
  ];
}

function hourLine({ ago_h: back, beats, immediate, failed, offline_s: offline }) {
  const figures = [beats - immediate, immediate, failed, span(offline)];
  const head = make("th", "", back ? `−${back} h` : "now");
  head.scope = "row";
  return make("tr", "", head, ...figures.map((figure) => make("td", "", String(figure))));
}

// Beats since start by reason. The regular ones get no bar: it would make all others too short.
function showReasons() {
  const counts = Object.entries(past.counters.beats ?? {}).filter(([, count]) => count);
  const most = Math.max(1, ...counts.map(([sort, count]) => (sort === "interval" ? 0 : count)));
  const graph = (sort, count) => (
    sort === "interval" ? make("span") : make("div", "track", bar(0, count / most)));
  byId("reasons-section").hidden = !counts.length;
  show("reasons", counts.join(), () => counts.map(([sort, count]) => (
    row("li", CLASSES[sort] ?? sort, graph(sort, count), count.toLocaleString("en")))));
  const failures = Object.entries(past.counters.failures ?? {});
  const failed = failures.map(([kind, count]) => `${count} ${kind}`).join(", ");
  say(byId("failed"), failed ? `Attempts that failed: ${failed}.` : "No attempt failed.");
}

// The reader's time of day, or an age if the camera has no time.
function when(t) {
  if (!past.clock_set) return age(t, "", " ago");
  const wall = new Date(Date.now() - (performance.now() - t));
  const [day, today] = [wall, new Date()].map((date) => date.toDateString());
  const time = wall.toTimeString().slice(0, 8);
  const node = make("time", "", day === today ? time : `${day.slice(0, 3)} ${time}`);
  node.dateTime = wall.toISOString();
  return node;
}

// The text of an entry, and its tone.
function described(entry) {
  const { kind, reason, result, cause, stamps, via } = entry;
  if (kind) return HAPPENED[kind]?.(entry) ?? [kind, ""];
  if (result === "failed") return [`beat ${reason} failed: ${cause}`, "bad"];
  const took = stamps ? ` after ${millis(stamps.replied_us)}` : "";
  return [`beat ${reason}: answered${took}${via ? ` over ${via}` : ""}`, "good"];
}

// The entries to list, newest first: all except acknowledged regular beats.
function notable() {
  let began = {};
  const found = [];
  for (const entry of past.entries) {
    if (entry.kind === "started") began = {};
    if (entry.kind) began[entry.kind] = entry.t;
    const since = began[ENDS[entry.kind]];
    const after = since ? `, after ${span((entry.t - since) / 1000)}` : "";
    const usual = entry.class === "interval" && entry.result === "acknowledged";
    if (!usual) found.unshift({ ...entry, after });
  }
  return found;
}

function showEvents() {
  const newest = notable();
  byId("events-section").hidden = !newest.length;
  byId("more").hidden = newest.length <= shownMost;
  say(byId("more"), `Show all ${newest.length}`);
  show("events", [past.run, past.last_id, shownMost, past.clock_set].join(), () => (
    newest.slice(0, shownMost).map((entry) => {
      const [words, tone] = described(entry);
      return make("li", "", when(entry.t), make("span", `mark ${tone}`), make("span", "", words));
    })));
}

byId("more").addEventListener("click", () => {
  shownMost = ENTRIES_MAX;
  showEvents();
});

const look = watch(PERIOD, heard, missed);
