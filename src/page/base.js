"use strict";

// Milliseconds between two requests while the agent does not answer: doubled from the first to the longest.
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;
// Time limit for an answer, in milliseconds.
const PATIENCE = 5000;

// The names and the looks of the states. An unknown state is shown as the agent sent it.
const STATES = {
  online: ["Online", "good"],
  starting: ["Starting", "idle"],
  waiting: ["Waiting", "idle"],
  disabled: ["Disabled", "idle"],
  unconfigured: ["Not configured", "warn"],
  captive_portal: ["Login page", "bad"],
  rejected: ["Rejected", "bad"],
  failing: ["Failing", "bad"],
  server_silent: ["Server silent", "bad"],
  offline: ["Offline", "bad"],
  no_uplink: ["No uplink", "bad"],
};

const byId = (id) => document.getElementById(id);

// Seconds in their two largest units.
function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24];
  const [minutes, rest] = [Math.floor(whole / 60) % 60, whole % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${rest} s` : `${rest} s`;
}

// The name and the look of a state; online without a fresh beat has its own.
function appearance(status) {
  const [name, tone] = STATES[status.state] ?? [String(status.state ?? "Unknown"), "idle"];
  const late = !(status.last_heartbeat_ago <= status.stale_after);
  return status.state === "online" && late ? ["Online, but late", "warn"] : [name, tone];
}

// Sets plain text only: names, reasons and errors come from files and servers.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Requests JSON from the agent; an answer other than 2xx is an error with its status.
async function ask(path, options) {
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(path, { cache: "no-store", signal, ...options });
  const { ok, status, statusText } = response;
  if (!ok) throw Object.assign(new Error(statusText), { status });
  return response.json();
}

// Requests the status every `period` ms while the page is visible, and less often without an answer.
function watch(period, heard, missed) {
  let timer;
  let wait = 0;
  let asking = false;

  async function turn() {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    const answer = await ask("api/meeting/status").catch((error) => ({ error }));
    asking = false;
    wait = answer.error ? Math.min(Math.max(2 * wait, FIRST_WAIT), LONGEST_WAIT) : 0;
    timer = setTimeout(turn, wait || period);
    if (answer.error) missed(answer.error, wait);
    else heard(answer);
  }

  document.addEventListener("visibilitychange", turn);
  turn();
  return turn;
}
