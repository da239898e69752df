// What the page is made of: text, nodes, times, the stream of events, and small charts.
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

// The token is behind the # of the address, which no browser sends; it is kept for this tab only.
const TOKEN = "genvx-token";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname);
}

// Reads a stream of events until it ends; a server that is silent for long counts as gone.
export async function listen(path, signal, on) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const silent = new AbortController();
  let watchdog = setTimeout(() => silent.abort(), 40000);
  try {
    const both = AbortSignal.any([signal, silent.signal]);
    const answer = await fetch(path, { headers, signal: both, cache: "no-store" });
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

const SVG = "http://www.w3.org/2000/svg";

// A line of shares of one, the last at the right edge; it has the width for itself after a while.
export class Chart {
  constructor(parent, title) {
    const figure = make("figure");
    this.caption = make("figcaption", "", title);
    this.now = make("b");
    this.caption.append(" ", this.now);
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", "0 0 100 30");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("aria-hidden", "true");
    this.line = document.createElementNS(SVG, "polyline");
    this.line.setAttribute("vector-effect", "non-scaling-stroke");
    this.svg.append(this.line);
    figure.append(this.caption, this.svg);
    parent.append(figure);
    this.points = [];
  }

  add(share, most) {
    this.points.push(share);
    if (this.points.length > most) this.points.shift();
    say(this.now, share === null ? "?" : `${Math.round(share * 100)}%`);
    const step = 100 / (Math.max(150, this.points.length) - 1);
    const first = 100 - (this.points.length - 1) * step;
    const drawn = this.points
      .map((each, n) => (each === null ? "" : `${(first + n * step).toFixed(2)},${(29 - each * 28).toFixed(2)}`))
      .filter(Boolean);
    mark(this.line, "points", drawn.join(" "));
  }
}
