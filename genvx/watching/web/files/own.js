// What is ours, and what can be done with it, each after a question: release, and stop.

import { Refused, act, clean, clock, duration, keyed, make, mark, mayAct, say, show } from "./parts.js";

const $ = (id) => document.getElementById(id);
const COLUMNS = ["Environment", "Name", "Host", "GPUs", "Since"];
const OVER = ["completed", "failed", "stopped", "lost"];

// Runs have environments, too: these end with their runs.
function environments(entries) {
  const found = [];
  for (const entry of entries) {
    if (!entry.ok || entry.user === undefined) continue;
    const runs = new Set((entry.runs ?? []).filter((run) => !OVER.includes(run.state)).map((run) => run.id));
    const own = new Map();
    for (const device of entry.devices) {
      for (const env of device.environments) {
        if (env.user.name !== entry.user || runs.has(env.id)) continue;
        if (!own.has(env.id)) own.set(env.id, { host: entry.host, env, gpus: [] });
        own.get(env.id).gpus.push(device.label);
      }
    }
    found.push(...own.values());
  }
  return found;
}

export function drawOwn(entries) {
  const known = mayAct() && entries.some((entry) => entry.user !== undefined);
  show($("own"), known);
  if (!known) return;
  const own = environments(entries);
  show($("own-table"), own.length > 0);
  show($("own-empty"), own.length === 0);
  keyed($("own-table").tBodies[0], own, ({ host, env }) => JSON.stringify([host, env.id]), newRow, (row, item) => row.update(item));
}

function newRow({ env }) {
  const row = make("tr");
  const cells = COLUMNS.map((label) => {
    const cell = make("td");
    cell.dataset.label = label;
    row.append(cell);
    return cell;
  });
  const button = make("button", "do", "Release …");
  button.type = "button";
  mark(button, "aria-label", clean(`Release environment ${env.id}`));
  const id = make("span", "id", clean(env.id));
  cells[0].append(id, " ", button);
  button.addEventListener("click", () => release(row.item));
  row.update = (item) => {
    row.item = item;
    const { host, env, gpus } = item;
    const texts = [env.name, host, gpus.join(", "), `${clock(env.since)}, for ${duration(Date.now() / 1000 - env.since)}`];
    texts.forEach((text, n) => say(cells[n + 1], clean(text)));
  };
  return row;
}

// A name is what somebody chose: it is shown in quotes, behind the id, and cannot be long.
const called = (name) => (name ? ` “${clean(name, 60)}”` : "");

async function release({ host, env, gpus }) {
  const answer = await asked({
    what: `Release environment ${clean(env.id)}${called(env.name)} on ${clean(host, 80)}?`,
    more: `GPU${gpus.length === 1 ? "" : "s"} ${clean(gpus.join(", "))} can be taken by others then.`,
    yes: "Release",
    kill: true,
  });
  if (answer) await done("api/release", { host, environment: env.id, kill: answer.kill });
}

export async function stopRun({ host, run }) {
  const parts = run.part ? ` and its other parts (${run.part.nodes.length} in all)` : "";
  const answer = await asked({
    what: `Stop run ${clean(run.id)}${called(run.label || run.name)} on ${clean(host, 80)}${parts}?`,
    more: "All of its processes end: SIGTERM, and SIGKILL after its grace. It cannot be undone.",
    yes: "Stop",
    kill: false,
  });
  if (answer) await done("api/stop", { host, run: run.id });
}

// Resolves to what was chosen, or to null.
function asked({ what, more, yes, kill }) {
  const dialog = $("ask");
  if (dialog.open) return Promise.resolve(null);
  say($("ask-what"), what);
  say($("ask-more"), more);
  say($("ask-yes"), yes);
  show($("ask-kill"), kill);
  const box = $("ask-kill").querySelector("input");
  box.checked = false;
  return new Promise((resolve) => {
    const chosen = new AbortController();
    const on = (node, event, value) => node.addEventListener(event, () => {
      chosen.abort();
      if (dialog.open) dialog.close();
      resolve(value());
    }, { signal: chosen.signal });
    on($("ask-yes"), "click", () => ({ kill: kill && box.checked }));
    on($("ask-no"), "click", () => null);
    on(dialog, "close", () => null); // Escape
    dialog.showModal();
  });
}

async function done(path, what) {
  const said = $("said");
  said.classList.remove("bad");
  say(said, "Asking …");
  try {
    say(said, clean(await act(path, what)));
  } catch (error) {
    said.classList.add("bad");
    say(said, error instanceof Refused ? clean(error.message) : "No answer: look whether it was done.");
  }
}
