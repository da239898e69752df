// The page: keeps the hosts as the server tells them, and changes only what has changed.

import { Refused, ago, clean, clock, keyed, listen, make, mark, memory, say, show } from "./parts.js";
import { drawOwn } from "./own.js";
import { runRow } from "./runs.js";
import { showUse } from "./use.js";

const SIGNS = { free: "○", leased: "●", shared: "◐", busy: "▲", lost: "✕", unhealthy: "!", unknown: "?" };
const $ = (id) => document.getElementById(id);

const hosts = new Map();
const changed = new Set();
let everything = false;
let scheduled = false;

// What the server tells

// Ages are from when the host was seen: a begin stays what it is while ages grow.
function dated(entry, at) {
  for (const device of entry.devices ?? []) {
    for (const env of device.environments ?? []) env.since = at - env.age_seconds;
  }
  for (const ticket of entry.tickets ?? []) ticket.since = at - ticket.waiting_seconds;
  return entry;
}

function take(kind, data) {
  if (kind === "all") {
    hosts.clear();
    for (const entry of data.hosts) hosts.set(entry.host, dated(entry, entry.seen_epoch_seconds));
    everything = true;
  } else if (kind === "host") {
    dated(data, data.seen_epoch_seconds);
    const known = hosts.get(data.host);
    if (data.whole || !known) {
      hosts.set(data.host, data);
    } else {
      const { devices, ...rest } = data;
      Object.assign(known, rest);
      const byId = new Map(known.devices.map((device) => [device.uuid, device]));
      for (const device of devices ?? []) Object.assign(byId.get(device.uuid), device);
    }
    changed.add(data.host);
  }
  schedule();
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(draw);
}

// What is seen

function draw() {
  scheduled = false;
  const redrawn = [...changed];
  // A host that is new, down or sought for has a card or loses it.
  if (everything || wanted || redrawn.some((name) => !cards.has(name) || !hosts.get(name).ok)) drawMap();
  else for (const name of redrawn) drawHost(cards.get(name), hosts.get(name));
  everything = false;
  changed.clear();
  drawDown();
  drawCounts();
  drawLine();
  drawRuns();
  drawOwn([...hosts.values()]);
  if (shownTile) describe(shownTile);
}

const cards = new Map();
let wanted = "";

function matches(entry) {
  if (!wanted) return true;
  return seekable(entry).includes(wanted);
}

function seekable(entry) {
  const words = [entry.host];
  for (const device of entry.devices) {
    words.push(device.name, device.state, ...device.environments.flatMap((env) => [env.user.name, env.name, env.id]));
  }
  return words.join("\n").toLowerCase();
}

function drawMap() {
  const up = [...hosts.values()].filter((entry) => entry.ok && matches(entry));
  cards.clear();
  keyed($("map"), up, (entry) => entry.host, newHost, (card, entry) => {
    cards.set(entry.host, card);
    drawHost(card, entry);
  });
  const asked = [...hosts.values()].some((entry) => entry.ok === null);
  show($("map-empty"), up.length === 0);
  say($("map-empty"), asked ? "Asking the hosts …" : wanted ? "No host matches." : "No host answers.");
  const tiles = document.querySelectorAll(".tile");
  if (tiles.length && !document.querySelector('.tile[tabindex="0"]')) tiles[0].tabIndex = 0;
}

function newHost() {
  const card = make("section", "host");
  card.name = make("bdi");
  card.room = make("span", "room");
  const title = make("h3");
  title.append(card.name, " ", card.room);
  card.note = make("p", "note");
  card.tiles = make("div", "tiles");
  card.append(title, card.note, card.tiles);
  return card;
}

function drawHost(card, entry) {
  say(card.name, clean(entry.host));
  say(card.room, `${entry.available} of ${entry.total} free`);
  say(card.note, entry.driver.error ? clean(entry.driver.error) : entry.total ? "" : "no GPUs");
  show(card.note, card.note.textContent !== "");
  keyed(card.tiles, entry.devices, (device) => device.uuid, newTile, (tile, device) => drawTile(tile, device, entry));
}

function newTile() {
  const tile = make("button", "tile");
  tile.type = "button";
  tile.tabIndex = -1;
  tile.sign = make("span", "sign");
  tile.label = make("span", "label");
  tile.word = make("span", "word");
  tile.busy = make("span", "busy");
  tile.bar = make("span", "memory");
  tile.fill = make("span", "fill");
  tile.bar.append(tile.fill);
  for (const part of [tile.sign, tile.label, tile.word, tile.busy, tile.bar]) part.setAttribute("aria-hidden", "true");
  tile.append(tile.sign, tile.label, tile.busy, tile.word, tile.bar);
  return tile;
}

function drawTile(tile, device, entry) {
  tile.device = device;
  tile.entry = entry;
  const state = SIGNS[device.state] ? device.state : "unknown";
  mark(tile, "data-state", state);
  mark(tile, "data-uuid", device.uuid);
  say(tile.sign, SIGNS[state]);
  say(tile.label, clean(device.label, 8));
  const who = device.environments.map((env) => env.user.name).concat(foreign(device).map((each) => each.user ?? "?"));
  say(tile.word, who.length ? clean([...new Set(who)].join(", "), 24) : state);
  say(tile.busy, device.utilization_percent === null ? "" : `${device.utilization_percent}%`);
  const share = device.memory_bytes ? Math.min(1, (device.memory_used_bytes ?? 0) / device.memory_bytes) : 0;
  const width = `${Math.round(share * 100)}%`;
  if (tile.fill.style.width !== width) tile.fill.style.width = width;
  mark(tile, "aria-label", summary(device, entry));
}

const foreign = (device) => (device.processes ?? []).filter((each) => each.foreign);

function summary(device, entry) {
  const who = device.environments.map((env) => `${env.user.name} since ${clock(env.since)}`).join(", ");
  const busy = device.utilization_percent === null ? "" : `, ${device.utilization_percent}% busy`;
  const used = `, memory ${memory(device.memory_used_bytes)} of ${memory(device.memory_bytes)}`;
  return clean(`${entry.host} GPU ${device.label}, ${device.name}: ${device.state}${who ? " by " + who : ""}${busy}${used}`, 600);
}

function drawDown() {
  const down = [...hosts.values()].filter((entry) => entry.ok === false);
  show($("down"), down.length > 0);
  keyed($("down-hosts"), down, (entry) => entry.host, () => {
    const row = make("li");
    row.name = make("bdi", "down-name");
    row.why = make("span");
    row.append(row.name, " ", row.why);
    return row;
  }, (row, entry) => {
    say(row.name, clean(entry.host));
    say(row.why, clean(`${entry.error.kind}: ${entry.error.message}`));
  });
}

const NAMED = Object.keys(SIGNS);

function drawCounts() {
  const counts = Object.fromEntries(NAMED.map((state) => [state, 0]));
  let total = 0;
  for (const entry of hosts.values()) {
    for (const device of entry.ok ? entry.devices : []) {
      total += 1;
      counts[SIGNS[device.state] ? device.state : "unknown"] += 1;
    }
  }
  const answered = [...hosts.values()].filter((entry) => entry.ok).length;
  say($("counts"), `${counts.free} of ${total} GPUs free on ${answered} of ${hosts.size} hosts`);
  const there = NAMED.filter((state) => counts[state] || ["free", "leased"].includes(state));
  keyed($("legend"), there, (state) => state, (state) => {
    const item = make("li");
    item.dataset.state = state;
    item.count = make("span");
    item.append(make("span", "sign", SIGNS[state]), ` ${state} `, item.count);
    return item;
  }, (item, state) => say(item.count, String(counts[state])));
}

function cell(row, label) {
  const made = make("td");
  made.dataset.label = label;
  row.append(made);
  return made;
}

const COLUMNS = ["Place", "Host", "User", "Name", "Request", "Waiting", "Reason"];

// A request may wait on many hosts; the reason is that of the host where it is nearest to its turn.
function drawLine() {
  const requests = new Map();
  for (const entry of hosts.values()) {
    for (const ticket of entry.tickets ?? []) {
      const key = JSON.stringify([ticket.id, ticket.user.name, ticket.name, ticket.request.text]);
      if (!requests.has(key)) requests.set(key, { key, places: [] });
      requests.get(key).places.push({ host: entry.host, ...ticket });
    }
  }
  const rows = [...requests.values()];
  say($("waiting"), String(rows.length));
  show($("line"), rows.length > 0);
  show($("line-empty"), rows.length === 0);
  keyed($("line").tBodies[0], rows, (row) => row.key, () => {
    const row = make("tr");
    row.cells_ = COLUMNS.map((label) => cell(row, label));
    return row;
  }, (row, { places }) => {
    const nearest = places.reduce((best, each) => (rank(each) < rank(best) ? each : best));
    const behind = nearest.place === 1 || nearest.offered ? "" : ", behind others";
    const since = Math.min(...places.map((each) => each.since));
    const texts = [nearest.place, [...new Set(places.map((each) => each.host))].join(", "), nearest.user.name,
      nearest.name, nearest.request.text, ago(since), nearest.reason + behind];
    texts.forEach((text, n) => say(row.cells_[n], clean(text)));
  });
}

const rank = (ticket) => (ticket.offered ? 0 : ticket.place);

const MOST_RUNS = 100;

function drawRuns() {
  const runs = [...hosts.values()].flatMap((entry) => (entry.runs ?? []).map((run) => ({ host: entry.host, ours: entry.user !== undefined, run })));
  runs.sort((a, b) => b.run.submitted_epoch_seconds - a.run.submitted_epoch_seconds);
  say($("running"), String(runs.filter(({ run }) => run.state === "running").length));
  show($("runs"), runs.length > 0);
  show($("runs-empty"), runs.length === 0);
  const known = [...hosts.values()].some((entry) => Array.isArray(entry.runs));
  say($("runs-empty"), known ? "No runs." : "Asking for runs …");
  keyed($("runs"), runs.slice(0, MOST_RUNS), ({ host, run }) => JSON.stringify([host, run.id]), runRow, (body, item) => body.update(item), $("runs").tHead);
}

// Details of a GPU: on hover, on focus, and gone with Escape

const details = $("details");
let shownTile = null;

function describe(tile) {
  if (!tile.isConnected) return hideDetails();
  const { device, entry } = tile;
  const rows = [["GPU", `${clean(entry.host)}  ${clean(device.label)}`], ["Model", clean(device.name)], ["State", device.state]];
  if (device.reason) rows.push(["Reason", clean(device.reason)]);
  for (const env of device.environments) {
    const share = env.memory_bytes === null ? "" : `, ${memory(env.memory_bytes)}`;
    const named = env.name ? ` (${clean(env.name)})` : "";
    rows.push(["Held by", `${clean(env.user.name)}${named}${share}`], ["Since", `${clock(env.since)}, for ${ago(env.since)}`]);
  }
  for (const each of foreign(device).slice(0, 5)) {
    rows.push(["Without a lease", `${clean(each.user ?? "?")}: ${clean(each.command, 60)} (pid ${each.pid})`]);
  }
  rows.push(["Memory", `${memory(device.memory_used_bytes)} of ${memory(device.memory_bytes)}`]);
  rows.push(["Utilization", device.utilization_percent === null ? "unknown" : `${device.utilization_percent}%`]);
  rows.push(["UUID", clean(device.uuid)]);
  keyed(details, rows.map((row, n) => [n, ...row]), ([n]) => n, () => {
    const row = make("p");
    row.term = make("b");
    row.text = make("bdi");
    row.append(row.term, " ", row.text);
    return row;
  }, (row, [, term, text]) => {
    say(row.term, term);
    say(row.text, text);
  });
}

function showDetails(tile) {
  if (!tile || tile === shownTile) return;
  hideDetails();
  shownTile = tile;
  describe(tile);
  details.hidden = false;
  tile.setAttribute("aria-describedby", "details");
  const at = tile.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = details;
  const left = Math.max(4, Math.min(at.left, document.documentElement.clientWidth - width - 4));
  const below = at.bottom + 6;
  const top = below + height < innerHeight ? below : Math.max(4, at.top - height - 6);
  details.style.left = `${left}px`;
  details.style.top = `${top}px`;
}

function hideDetails() {
  if (shownTile) shownTile.removeAttribute("aria-describedby");
  shownTile = null;
  details.hidden = true;
}

const map = $("map");
const tileOf = (event) => event.target.closest?.(".tile");
map.addEventListener("mouseover", (event) => (tileOf(event) ? showDetails(tileOf(event)) : hideDetails()));
map.addEventListener("mouseleave", hideDetails);
map.addEventListener("focusin", (event) => {
  document.querySelector('.tile[tabindex="0"]')?.setAttribute("tabindex", "-1");
  if (tileOf(event)) tileOf(event).tabIndex = 0;
  showDetails(tileOf(event));
});
map.addEventListener("focusout", hideDetails);
addEventListener("scroll", hideDetails, { passive: true });
addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideDetails();
});

// Arrows go from GPU to GPU; Tab goes on behind the map.
map.addEventListener("keydown", (event) => {
  const tile = tileOf(event);
  if (!tile || event.altKey || event.ctrlKey || event.metaKey) return;
  const tiles = [...map.querySelectorAll(".tile")];
  const at = tiles.indexOf(tile);
  const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tiles.length - 1 };
  const next = event.key in moves ? tiles[moves[event.key]] : { ArrowDown: 1, ArrowUp: -1 }[event.key] && vertical(tiles, tile, event.key === "ArrowDown");
  if (!next) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  showDetails(next);
});

function vertical(tiles, tile, down) {
  const from = tile.getBoundingClientRect();
  let best = null;
  let least = Infinity;
  for (const each of tiles) {
    const at = each.getBoundingClientRect();
    const rows = down ? at.top - from.top : from.top - at.top;
    if (rows < 4) continue;
    const far = rows * 4 + Math.abs(at.left - from.left);
    if (far < least) [best, least] = [each, far];
  }
  return best;
}

$("find").addEventListener("input", () => {
  wanted = $("find").value.trim().toLowerCase();
  everything = true;
  schedule();
});

// Times that pass
setInterval(schedule, 10000);

// The connection; while the page cannot be seen for long, hosts are not asked for it

const HIDDEN_FOR = 60000;
let connection = null;
let leaving = 0;

async function connect() {
  let pause = 500;
  const mine = (connection = new AbortController());
  while (!mine.signal.aborted) {
    try {
      await listen("api/events", mine.signal, (kind, data) => {
        pause = 500;
        connected("live", "live");
        take(kind, data);
      });
    } catch (error) {
      if (mine.signal.aborted) return;
      if (error instanceof Refused && error.status < 500) {
        connected("off", clean(error.message));
        return;
      }
    }
    connected("off", "no connection to genvx web; trying again");
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(10000, pause * 2);
  }
}

function connected(state, text) {
  mark(document.body, "data-connection", state);
  say($("connection"), text);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) {
    leaving = setTimeout(() => {
      connection.abort();
      connection = null;
      connected("off", "paused");
    }, HIDDEN_FOR);
  } else if (!connection) {
    connect();
  }
});

connect();
showUse();
