// Milliseconds between two requests for the status.
const PERIOD = 1000;
// Time limit for the result of a beat, in milliseconds: the agent gives up after 15 s.
const BEAT_PATIENCE = 20000;

// The steps of a beat: their keys in the status, and their names.
const STEPS = [
  ["usable_us", "uplink"],
  ["resolved_us", "name"],
  ["opened_us", "race"],
  ["connected_us", "connection"],
  ["secured_us", "TLS"],
  ["written_us", "request"],
  ["replied_us", "answer"],
];

// The last status of the agent, and the time of its arrival on the clock of this page.
let status;
let heardAt = 0;
// The error while the agent does not answer, and the time of the next request; else null.
let silence = null;

// All ages stop while the agent does not answer.
const now = () => (silence ? heardAt : performance.now());
const ago = (seconds) => heardAt - seconds * 1000;

// Makes an element with its class and its content: texts, or other elements.
function make(name, look, ...content) {
  const node = document.createElement(name);
  if (look) node.className = look;
  node.append(...content);
  return node;
}

// Makes an element with the age of `at`, which `grow` keeps up to date.
function age(at, before, after = "") {
  const node = Object.assign(make("time", "age"), { at, before, after });
  grow(node);
  return node;
}

function grow(node) {
  say(node, node.before + span((now() - node.at) / 1000) + node.after);
}

function growAll() {
  document.querySelectorAll("time.age").forEach(grow);
}

// Replaces the content of a place if `key` has changed, so that a selection or the focus survives.
function show(id, key, made) {
  const place = byId(id);
  if (place.key === key) return;
  place.key = key;
  place.replaceChildren(...made());
}

// A main paragraph, and further ones about it.
function paragraphs(main, ...others) {
  return [main, ...others.filter(Boolean)].map((part) => make("p", "", part));
}

function showState() {
  const [word, tone] = appearance(status);
  const { meaning = "", since_ago: since = null, device_key_full: camera } = status;
  byId("dot").className = `dot ${tone}`;
  say(byId("word"), word);
  say(byId("meaning"), meaning);
  say(byId("announced"), `${word}: ${meaning}`);
  say(byId("camera"), camera ?? "");
  document.title = `${word} · ${camera || "linkbeat"}`;
  byId("since").replaceChildren(...(since === null ? [] : [age(ago(since), "for ")]));
}

// Shows the parts of a text between backquotes as code.
function typed(text) {
  return text.split("`").map((part, nth) => (nth % 2 ? make("code", "", part) : part));
}

function note(title, text, tone) {
  return make("p", `note ${tone}`, make("b", "", `${title}: `), ...typed(text));
}

function notes() {
  const { last_error: error, failures, advice, config_error: config, clock } = status;
  const found = [];
  const often = failures > 1 ? ` (${failures} times in a row)` : "";
  if (error) found.push(["Error", error + often, "bad"]);
  if (advice) found.push(["What to do", advice, ""]);
  if (config) found.push(["Configuration not in force", config, "warn"]);
  if (clock?.set === false) found.push(["Clock", clockWords(clock), "warn"]);
  for (const warning of status.warnings ?? []) found.push(["Warning", warning, "warn"]);
  return found;
}

function clockWords({ used, source }) {
  const instead = used ? ` It is at least ${used} (source: ${source}).` : "";
  return `not set, so times are shown as ages.${instead}`;
}

function showNotes() {
  const found = notes();
  show("notes", JSON.stringify(found), () => found.map((it) => note(...it)));
}

const places = ({ addresses }) => (addresses ?? []).join(" ");

function showUplinks() {
  const { uplink, uplinks = [] } = status;
  const tested = { ok: ": it works", dead: ": the server does not answer over it" };
  const reserve = uplinks.map((other) =>
    `${other.name} ${places(other)}, in reserve${tested[other.standby] ?? ""}`);
  if (!uplink) return show("uplink", reserve.join(), () => paragraphs("none", ...reserve));
  const at = ago(uplink.since_ago);
  const key = [uplink.name, places(uplink), ...reserve].join();
  const since = age(at, "in use for ");
  show("uplink", key, () => paragraphs(uplink.name, places(uplink), since, ...reserve));
  byId("uplink").querySelector("time").at = at;
}

function showLast() {
  const { beat, last_heartbeat_ago: seconds } = status;
  const none = ["none yet", "none was acknowledged since start"];
  if (!beat) return show("last", "none", () => paragraphs(...none));
  const at = ago(seconds);
  const over = beat.via ? ` over ${beat.via}` : "";
  show("last", `${status.pid} ${beat.seq}`, () => paragraphs(age(at, "", " ago"),
    `${beat.reason}, number ${beat.seq}`, `answered ${beat.status}${over}`));
  byId("last").querySelector("time").at = at;
}

// The time of the next beat, and the reason for it.
function upcoming() {
  const { next_beat_in: wait = null, pending, failures } = status;
  const { held_until: held, waits_until: until } = status;
  if (status.in_flight) return ["in progress", pending];
  if (wait === null) return pending ? ["as soon as there is an uplink", pending] : ["none"];
  const when = `in ${span(wait)}`;
  if (held) return [when, "the server asked to wait (Retry-After)"];
  if (until && failures > 0) return [when, `the next attempt: ${pending}`];
  if (until) return [when, `${pending}; deferred: many were sent, or recovery_spread_ms is set`];
  const { interval_s: interval = status.heartbeat_interval, interval_source: source } = status;
  const why = { server: ", set by the server", metered: ", the uplink is metered" }[source] ?? "";
  return [when, `every ${span(interval)}${why}`];
}

function showNext() {
  const words = upcoming();
  show("next", words.join(), () => paragraphs(...words));
}

const millis = (micros) => `${(micros / 1000).toFixed(1)} ms`;

// A row with a name, a graph and a figure; the graph repeats the figure.
function row(element, name, graph, figure) {
  graph.setAttribute("aria-hidden", "true");
  return make(element, "row", make("span", "", name), graph, make("span", "", figure));
}

function bar(from, to, tone = "") {
  const node = make("i", tone);
  // Even the shortest bar is visible, at the end too.
  node.style.left = `min(${from * 100}%, 100% - 2px)`;
  node.style.width = `${(to - from) * 100}%`;
  return node;
}

function showSteps() {
  const { beat } = status;
  byId("steps-section").hidden = !beat;
  if (beat) show("steps", `${status.pid} ${beat.seq}`, () => steps(beat));
}

function steps(beat) {
  const whole = beat.replied_us;
  let from = 0;
  const rows = STEPS.map(([key, name]) => {
    const to = Math.max(from, beat[key] ?? 0);
    const bars = to > from ? [bar(from / whole, to / whole, "good")] : [];
    const figure = to > from ? millis(to - from) : "–";
    from = to;
    return row("li", name, make("div", "track", ...bars), figure);
  });
  const kept = beat.connected_us === beat.opened_us ? "connection reused" : "";
  const all = row("li", "total", make("span", "quiet", kept), millis(whole));
  all.classList.add("total");
  return [...rows, all];
}

// The watched services, if any.
function showServices() {
  const services = status.watch ?? [];
  const tones = { up: "good", down: "bad" };
  byId("services-section").hidden = !services.length;
  const key = services.map(({ name, address, state }) => [name, address, state]).join();
  show("services", key, () => services.map(({ name, address, state, since_ago: since }) => {
    const words = [`${address} is ${state === "unknown" ? "not known yet" : state}`];
    if (Number.isFinite(since)) words.push(age(ago(since), ", for "));
    const mark = make("span", `mark ${tones[state] ?? ""}`);
    return make("li", "", make("span", "", name), mark, make("span", "", ...words));
  }));
}

function showAbout() {
  const { api_url: url, config_file: file, version, pid } = status;
  const parts = [url && `server ${url}`, file, `linkbeat ${version}, process ${pid}`];
  const known = parts.filter(Boolean);
  show("about", known.join(), () => known.map((part) => make("span", "", part)));
}

// The dot beats with the agent.
function pulse({ beats_acknowledged: beats }) {
  const dot = byId("dot");
  if (beats > dot.beats) {
    dot.classList.add("beat");
    dot.addEventListener("animationend", () => dot.classList.remove("beat"), { once: true });
  }
  dot.beats = beats;
}

function heard(answer) {
  status = answer;
  heardAt = performance.now();
  silence = null;
  document.body.classList.remove("stale");
  byId("silence").hidden = true;
  byId("shown").hidden = false;
  say(byId("freshness"), "live");
  showState();
  showNotes();
  showUplinks();
  showLast();
  showNext();
  showServices();
  showSteps();
  showAbout();
  pulse(status);
  growAll();
  follow();
}

function missed(error, wait) {
  silence = { error, until: performance.now() + wait };
  document.body.classList.add("stale");
  byId("silence").hidden = false;
  say(byId("freshness"), "not live");
  showSilence();
}

// The seconds are in a place of their own, because screen readers announce each change of the words.
function showSilence() {
  const { error, until } = silence;
  const refused = error.status ? ` as it should (${error.status})` : "";
  const locked = error.status === 401;
  const words = locked ? "This page is locked." : `The agent does not answer${refused}.`;
  say(byId("silence-words"), words);
  say(byId("again"), locked ? "Sign in" : "Try now");
  const old = span((performance.now() - heardAt) / 1000);
  const shown = status ? `The page shows its state of ${old} ago. ` : "";
  const wait = Math.max(0, Math.ceil((until - performance.now()) / 1000));
  say(byId("silence-times"), `${shown}Next try in ${wait} s.`);
}

function tick() {
  if (silence) showSilence();
  else growAll();
}

// A reload leads to the login page, if the user is not signed in.
function again() {
  if (silence.error.status === 401) location.reload();
  else look();
}

// Sends a beat and shows its result.
async function send() {
  const button = byId("send");
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  say(byId("sent"), "Sending …");
  byId("sent").className = "";
  const began = performance.now();
  const answer = await request();
  button.ariaDisabled = "false";
  const took = Math.round(performance.now() - began);
  byId("sent").className = answer.success ? "good" : "bad";
  say(byId("sent"), answer.success
    ? `Acknowledged: the server answered ${answer.status_code} after ${took} ms.`
    : `Not acknowledged: ${answer.error}.`);
  look();
}

// Returns the result of a beat. Refusals and failures are JSON with an error, like the answer to a success.
async function request() {
  try {
    const signal = AbortSignal.timeout(BEAT_PATIENCE);
    const response = await fetch("api/meeting/heartbeat", { method: "POST", signal });
    return await response.json();
  } catch (error) {
    const late = error.name === "TimeoutError";
    return { error: late ? "no answer in time" : "the agent does not answer" };
  }
}

byId("send").addEventListener("click", send);
byId("again").addEventListener("click", again);
setInterval(tick, 1000);
