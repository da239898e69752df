// What the page is made of: text, nodes, times, and what it asks the server.
// Everything from a host becomes text of a node, never markup.

const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

// Text on one line, with escapes for what cannot be seen or would turn the line around.
export function clean(text, limit = 300) {
  const whole = String(text ?? "");
  const head = whole.length <= limit ? whole : whole.slice(0, limit - 1) + "…";
  return head.replace(UNPRINTABLE, (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));
}

export function make(tag, kind = "", text = null) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== null) node.textContent = text;
  return node;
}

// Nothing is written that is there already: the browser then has nothing to paint.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

const KEPT = new WeakMap();

// Has a node in `parent` for each item, in their order; those that are there are kept.
export function keyed(parent, items, keyOf, create, update, first = null) {
  if (!KEPT.has(parent)) KEPT.set(parent, new Map());
  const nodes = KEPT.get(parent);
  const seen = new Set();
  let at = first ? first.nextSibling : parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (seen.has(key)) continue;
    seen.add(key);
    let node = nodes.get(key);
    if (!node) nodes.set(key, (node = create(item)));
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
    update(node, item);
  }
  for (const [key, node] of nodes) {
    if (seen.has(key)) continue;
    node.remove();
    nodes.delete(key);
  }
}

export function memory(bytes) {
  if (bytes === null || bytes === undefined) return "?";
  const size = bytes / 2 ** 30;
  return size >= 10 ? `${Math.round(size)} GiB` : `${size.toFixed(1)} GiB`;
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const ago = (epoch) => duration(Date.now() / 1000 - epoch);

export function clock(epoch) {
  const then = new Date(epoch * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const time = `${two(then.getHours())}:${two(then.getMinutes())}`;
  if (new Date().toDateString() === then.toDateString()) return time;
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())} ${time}`;
}

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// The tokens are behind the # of the address, which no browser sends; they are kept for this tab only.
const TOKEN = "genvx-token";
const ACTIONS = "genvx-actions";

function keep() {
  const given = new URLSearchParams(location.hash.slice(1));
  const found = [[TOKEN, given.get("token")], [ACTIONS, given.get("actions")]].filter(([, word]) => word);
  if (!found.length) return false;
  for (const [name, word] of found) sessionStorage.setItem(name, word);
  history.replaceState(null, "", location.pathname);
  return true;
}

keep();
// Another address of the same page, typed into the same tab, loads nothing by itself.
addEventListener("hashchange", () => keep() && location.reload());

export const mayAct = () => sessionStorage.getItem(ACTIONS) !== null;

function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}`, ...more } : more;
}

// Asks for a document.
export async function get(path) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store" });
  if (!answer.ok) throw new Refused(answer.status, (await answer.text()).trim());
  return answer.json();
}

// Has something done; returns the line that says what was.
export async function act(path, asked) {
  const more = { "Content-Type": "application/json", "Genvx-Actions": sessionStorage.getItem(ACTIONS) };
  const answer = await fetch(path, { method: "POST", headers: headers(more), body: JSON.stringify(asked) });
  const line = (await answer.text()).trim();
  if (!answer.ok) throw new Refused(answer.status, line);
  return line;
}

// Reads a stream of events until it ends; a server that is silent for long counts as gone.
export async function listen(path, signal, on) {
  const silent = new AbortController();
  let watchdog = setTimeout(() => silent.abort(), 40000);
  try {
    const both = AbortSignal.any([signal, silent.signal]);
    const answer = await fetch(path, { headers: headers(), signal: both, cache: "no-store" });
    if (!answer.ok) throw new Refused(answer.status, (await answer.text()).trim());
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => silent.abort(), 40000);
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const match = /^event: (\w+)\ndata: (.*)$/.exec(event);
        if (match) on(match[1], JSON.parse(match[2]));
      }
    }
  } finally {
    clearTimeout(watchdog);
  }
}
