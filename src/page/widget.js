// Milliseconds between two requests for the status.
const PERIOD = 5000;

let heardAt = 0;

function heard(status) {
  heardAt = performance.now();
  document.body.classList.remove("stale");
  const [word, tone] = appearance(status);
  byId("dot").className = `dot ${tone}`;
  say(byId("word"), word);
  say(byId("since"), Number.isFinite(status.since_ago) ? `for ${span(status.since_ago)}` : "");
  const { uplink, last_heartbeat_ago: ago, beat } = status;
  say(byId("uplink"), uplink ? `${uplink.name} ${uplink.addresses?.[0] ?? ""}` : "none");
  const known = Number.isFinite(ago);
  say(byId("last"), known ? `${span(ago)} ago${beat ? `, ${beat.reason}` : ""}` : "none yet");
}

function missed(error) {
  document.body.classList.add("stale");
  if (error.status === 401) return say(byId("since"), "locked: sign in on the page");
  const ago = heardAt ? `, the last one ${span((performance.now() - heardAt) / 1000)} ago` : "";
  say(byId("since"), `no answer${ago}`);
}

watch(PERIOD, heard, missed);
