// A day of a camera in the field, in place of the history of an agent that has just started.
(() => {
  const MINUTE = 60000;
  const HOUR = 60 * MINUTE;
  const now = Date.now();
  const entries = [];

  const put = (ago, entry) => {
    entries.push({ ago_ms: ago, at: new Date(now - ago).toISOString(), ...entry });
  };
  const turn = (ago, kind, more) => put(ago, { kind, ...more });
  const uplink = (ago, from, to) => turn(ago, "uplink", { from, to });
  const beat = (ago, sort, reason, via, micros) => {
    const share = (part) => Math.round(micros * part);
    const stamps = { usable_us: 0, resolved_us: share(0.01), connected_us: share(0.15),
      secured_us: share(0.6), written_us: share(0.61), replied_us: micros };
    put(ago, { class: sort, reason, via, result: "acknowledged", status: 200, cause: null, stamps, seq: 1 });
  };

  turn(1397 * MINUTE, "started");
  uplink(1397 * MINUTE, null, "eth0");
  beat(1397 * MINUTE, "startup", "startup", "eth0", 61000);
  uplink(1100 * MINUTE, "eth0", "wlan0");
  beat(1100 * MINUTE, "failover", "failover_to_wlan0", "wlan0", 7800);
  uplink(960 * MINUTE, "wlan0", "eth0");
  beat(960 * MINUTE, "priority", "eth0_priority", "eth0", 4950);
  turn(677 * MINUTE, "offline");
  turn(670 * MINUTE, "online");
  beat(670 * MINUTE, "restored", "connectivity_restored", "eth0", 157000);
  turn(457 * MINUTE, "failing", { cause: "http_503" });
  turn(433 * MINUTE, "beating");
  uplink(257 * MINUTE, "eth0", null);
  turn(257 * MINUTE, "offline");
  uplink(252 * MINUTE, null, "wlan0");
  turn(252 * MINUTE, "online");
  beat(252 * MINUTE, "failover", "failover_to_wlan0", "wlan0", 48000);
  uplink(180 * MINUTE, "wlan0", "eth0");
  beat(180 * MINUTE, "priority", "eth0_priority", "eth0", 5100);
  beat(36 * MINUTE, "trigger", "trigger_doorbell", "eth0", 1400);
  entries.forEach((entry, nth) => Object.assign(entry, { id: nth + 1 }));

  const hours = [];
  for (let ago = 23; ago >= 0; ago--) {
    const immediate = { 23: 1, 18: 1, 16: 1, 12: 5, 11: 1, 4: 1, 3: 1, 0: 3 }[ago] ?? 0;
    const missed = { 23: 84, 11: 14, 7: 48, 4: 10, 0: 47 }[ago] ?? 0;
    const failed = { 11: 3, 7: 9 }[ago] ?? 0;
    const offline = { 11: 420, 4: 300 }[ago] ?? 0;
    hours.push({ ago_h: ago, beats: 120 - missed + immediate, immediate, failed, offline_s: offline });
  }
  const beats = { interval: 2677, startup: 1, config: 0, trigger: 9, restored: 1, address: 0, failover: 2, priority: 2 };
  const counters = { beats, failures: { timed_out: 3, http_5xx: 9 } };

  const real = window.fetch;
  window.fetch = (path, options) => {
    const [, after] = String(path).match(/linkbeat\/history\?after=(\d+)/) ?? [];
    if (after === undefined) return real(path, options);
    const fresh = entries.filter(({ id }) => id > after);
    const history = { success: true, run: "day", last_id: entries.length, clock_set: true, hours, counters,
      beats: fresh.filter(({ kind }) => !kind), transitions: fresh.filter(({ kind }) => kind) };
    return Promise.resolve(new Response(JSON.stringify(history)));
  };
})();
