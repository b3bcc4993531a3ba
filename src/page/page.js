// Milliseconds between two looks at the status.
const PERIOD = 1000;
// A beat that somebody waits for is given up by the agent after 15 s.
const BEAT_PATIENCE = 20000;

// The steps of a beat as the status has them, and their names.
const STEPS = [
  ["usable_us", "a way out"],
  ["resolved_us", "name"],
  ["connected_us", "connection"],
  ["secured_us", "TLS"],
  ["written_us", "request"],
  ["replied_us", "answer"],
];

// What the agent said last, and when on the clock of this page.
let status;
let heardAt = 0;
// Why it is not heard, if it is not, and when it is asked again.
let silence = null;

// All ages stand still while nothing is heard.
const now = () => (silence ? heardAt : performance.now());
const ago = (seconds) => heardAt - seconds * 1000;

// An element with its class and its content: texts, or other elements.
function make(name, look, ...content) {
  const node = document.createElement(name);
  if (look) node.className = look;
  node.append(...content);
  return node;
}

// How long ago `at` is, kept up to date by `grow`.
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

// Replaces what a place shows if `key` is another one: a selection or the focus in it survives.
function show(id, key, made) {
  const place = byId(id);
  if (place.key === key) return;
  place.key = key;
  place.replaceChildren(...made());
}

// Something to be read first, and more about it.
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

// A text in which what is to be typed stands between backquotes.
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
  if (config) found.push(["Not in force", config, "warn"]);
  if (clock?.set === false) found.push(["Clock", clockWords(clock), "warn"]);
  for (const warning of status.warnings ?? []) found.push(["Warning", warning, "warn"]);
  return found;
}

function clockWords({ used, source }) {
  const instead = used ? ` It is certainly later than ${used}, as the ${source} says.` : "";
  return `not set, so times are told as “ago”.${instead}`;
}

function showNotes() {
  const found = notes();
  show("notes", JSON.stringify(found), () => found.map((it) => note(...it)));
}

const places = ({ addresses }) => (addresses ?? []).join(" ");

function showUplinks() {
  const { uplink, uplinks = [] } = status;
  const reserve = uplinks.map((other) => `${other.name} ${places(other)}, in reserve`);
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

// When the next beat is sent, and why then.
function upcoming() {
  const { next_beat_in: wait = null, pending, failures } = status;
  const { held_until: held, waits_until: until } = status;
  if (status.in_flight) return ["under way", pending];
  if (wait === null) return pending ? ["when there is a way", pending] : ["none"];
  const when = `in ${span(wait)}`;
  if (held) return [when, "not earlier: the server asked for it (Retry-After)"];
  if (until && failures > 0) return [when, `the next try: ${pending}`];
  if (until) return [when, `${pending}; not earlier, so many were sent`];
  return [when, `every ${span(status.heartbeat_interval)}`];
}

function showNext() {
  const words = upcoming();
  show("next", words.join(), () => paragraphs(...words));
}

const millis = (micros) => `${(micros / 1000).toFixed(1)} ms`;

// A row with a name, a graph and a figure; the graph says nothing that the figures do not.
function row(element, name, graph, figure) {
  graph.setAttribute("aria-hidden", "true");
  return make(element, "row", make("span", "", name), graph, make("span", "", figure));
}

function bar(from, to, tone = "") {
  const node = make("i", tone);
  // However short, it is seen: at the end too.
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
  const kept = beat.connected_us === beat.resolved_us ? "the connection was kept" : "";
  const all = row("li", "in all", make("span", "quiet", kept), millis(whole));
  all.classList.add("total");
  return [...rows, all];
}

// The services that are watched, where there are any.
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
  tellSilence();
}

// Not announced each second: only what changes with the words is in the place that is.
function tellSilence() {
  const { error, until } = silence;
  const refused = error.status ? ` as it should (${error.status})` : "";
  const locked = error.status === 401;
  const words = locked ? "This page is locked." : `The agent does not answer${refused}.`;
  say(byId("silence-words"), words);
  say(byId("again"), locked ? "Sign in" : "Try now");
  const old = span((performance.now() - heardAt) / 1000);
  const shown = status ? `Shown is what it said ${old} ago. ` : "";
  const wait = Math.max(0, Math.ceil((until - performance.now()) / 1000));
  say(byId("silence-times"), `${shown}Next try in ${wait} s.`);
}

function tick() {
  if (silence) tellSilence();
  else growAll();
}

// The agent sends who is not signed in from the page to where that is done.
function again() {
  if (silence.error.status === 401) location.reload();
  else look();
}

// Sends a beat and tells what became of it.
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

// A refusal and a failure say why, as the answer to a success does.
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
