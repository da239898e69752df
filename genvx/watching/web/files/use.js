// The use of the last day as charts: of all, by host and by user.

import { Refused, clean, clock, get, keyed, make, mark, say, show } from "./parts.js";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const LEAST_PAUSE = 10000;
const MOST_PAUSE = 60000;

export async function showUse() {
  let pause = LEAST_PAUSE;
  for (;;) {
    if (!document.hidden) {
      try {
        const day = await get("api/usage");
        draw(day);
        pause = Math.max(LEAST_PAUSE, Math.min(MOST_PAUSE, (day.step_seconds ?? 0) * 1000));
      } catch (error) {
        if (error instanceof Refused) say($("use-source"), clean(error.message));
      }
    }
    await new Promise((done) => setTimeout(done, pause));
  }
}

function source(day) {
  const note = day.note ? `${clean(day.note)}. ` : "";
  if (day.source === "history") return "From the history of genvx monitor.";
  if (day.source === null) return `${note}Nothing has been seen yet.`;
  return `${note}Since ${clock(day.since_epoch_seconds)}, as this page has seen it while it was open. genvx monitor keeps all of a day.`;
}

let total = null;

function draw(day) {
  say($("use-source"), source(day));
  show($("use"), day.source !== null);
  if (day.source === null) return;
  if (!total) $("use").append((total = new Chart("All GPUs", true)).figure);
  total.update(day, shares(day.total));
  const hosts = day.hosts.map((host) => ({ name: host.host, lines: shares(host) }));
  drawAll($("use-hosts"), day, hosts);
  const users = (day.users ?? []).map(({ user, gpus }) => ({ name: user, lines: [{ kind: "leased", values: gpus }] }));
  const most = Math.max(1, ...users.flatMap(({ lines }) => lines[0].values.map((each) => each ?? 0)));
  drawAll($("use-users"), day, users, Math.ceil(most));
}

const shares = ({ leased_percent, busy_percent }) => [
  { kind: "leased", values: leased_percent },
  { kind: "busy", values: busy_percent },
];

function drawAll(box, day, items, most = null) {
  show(box, items.length > 0);
  box.update = () => {
    if (!box.open) return;
    const create = ({ name }) => {
      const chart = new Chart(name, false);
      chart.figure.chart = chart;
      return chart.figure;
    };
    keyed(box.querySelector(".charts"), items, ({ name }) => name, create, (figure, { lines }) => figure.chart.update(day, lines, most));
  };
  box.ontoggle = () => box.update();
  box.update();
}

const known = (values) => values.filter((each) => each !== null);
const mean = (values) => (known(values).length ? known(values).reduce((a, b) => a + b, 0) / known(values).length : null);
const percent = (value) => (value === null || value === undefined ? "?" : `${Math.round(value)}%`);

function svg(tag, kind) {
  const node = document.createElementNS(SVG, tag);
  node.setAttribute("class", kind);
  return node;
}

// Lines over the time of a day. `wide`: one that says the values at a time, by mouse and by keyboard.
class Chart {
  constructor(name, wide) {
    this.name = clean(name, 60);
    this.figure = make("figure");
    this.caption = make("figcaption");
    this.when = make("span", "when");
    this.caption.append(make("bdi", "", this.name), this.when);
    this.texts = new Map();
    for (const kind of ["leased", "busy"]) {
      const key = make("span");
      const sign = make("span", `key key-${kind}`);
      sign.setAttribute("aria-hidden", "true");
      const text = make("span", `${kind}-text`);
      key.append(sign, " ", text);
      this.texts.set(kind, text);
      this.caption.append(key);
    }
    this.plot = make("div", "plot");
    this.plot.setAttribute("role", wide ? "slider" : "img");
    this.svg = svg("svg", "");
    this.svg.setAttribute("viewBox", "0 0 100 100");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("aria-hidden", "true");
    this.area = svg("path", "leased-area");
    this.lines = new Map([["leased", svg("path", "leased-line")], ["busy", svg("path", "busy-line")]]);
    this.cursor = svg("path", "cursor");
    this.svg.append(this.area, ...this.lines.values(), this.cursor);
    this.scale = make("div", "scale");
    this.top = make("span");
    this.scale.append(this.top, make("span", "", "0"));
    this.times = make("div", "times");
    this.begin = make("span");
    this.end = make("span");
    this.times.append(this.begin, this.end);
    this.plot.append(this.svg, this.scale, this.times);
    this.figure.append(this.caption, this.plot);
    this.at = null;
    if (wide) this.follow();
  }

  follow() {
    this.plot.tabIndex = 0;
    mark(this.plot, "aria-valuemin", "0");
    this.svg.addEventListener("mousemove", (event) => {
      const { left, width } = this.svg.getBoundingClientRect();
      this.point(Math.floor(((event.clientX - left) / width) * this.count));
    });
    this.svg.addEventListener("mouseleave", () => this.point(null));
    this.plot.addEventListener("blur", () => this.point(null));
    this.plot.addEventListener("keydown", (event) => {
      const at = this.at ?? this.count - 1;
      const moves = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: this.count - 1, PageUp: at + 12, PageDown: at - 12 };
      if (event.key === "Escape") return this.point(null);
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.point(moves[event.key]);
    });
  }

  point(at) {
    this.at = at === null ? null : Math.max(0, Math.min(this.count - 1, at));
    this.describe();
  }

  update(day, lines, most = null) {
    this.day = day;
    this.values = lines;
    this.most = most;
    this.count = lines[0].values.length;
    if (this.at !== null) this.at = Math.min(this.at, this.count - 1);
    say(this.top, most === null ? "100%" : String(most));
    say(this.begin, clock(day.since_epoch_seconds));
    say(this.end, clock(day.since_epoch_seconds + this.count * day.step_seconds));
    for (const { kind, values } of lines) mark(this.lines.get(kind), "d", line(values, most ?? 100));
    mark(this.area, "d", area(lines[0].values, most ?? 100));
    this.describe();
  }

  describe() {
    const here = this.at;
    const gpuHours = (values) => known(values).reduce((a, b) => a + b, 0) * (this.day.step_seconds / 3600);
    const said = this.values.map(({ kind, values }) => {
      if (this.most !== null) {
        const text = `${gpuHours(values).toFixed(1)} GPU hours, at most ${Math.max(0, ...known(values))} GPUs`;
        return [kind, text];
      }
      const usual = here === null && this.plot.tabIndex === 0 ? " on average" : "";
      return [kind, `${kind} ${percent(here === null ? mean(values) : values[here])}${usual}`];
    });
    for (const [kind, node] of this.texts) {
      const text = said.find(([each]) => each === kind)?.[1] ?? "";
      show(node.parentElement, text !== "");
      say(node, text);
    }
    const when = here === null ? "" : clock(this.day.since_epoch_seconds + here * this.day.step_seconds);
    say(this.when, when);
    const whole = said.map(([, text]) => text).join(", ");
    if (this.plot.getAttribute("role") === "slider") {
      mark(this.plot, "aria-label", `Use of ${this.name}, at a time of the last day`);
      mark(this.plot, "aria-valuemax", String(Math.max(0, this.count - 1)));
      mark(this.plot, "aria-valuenow", String(here ?? this.count - 1));
      mark(this.plot, "aria-valuetext", when ? `${when}: ${whole}` : whole);
    } else {
      mark(this.plot, "aria-label", `${this.name}: ${whole}`);
    }
    const x = here === null ? null : ((here + 0.5) / this.count) * 100;
    mark(this.cursor, "d", x === null ? "" : `M${x.toFixed(2)} 0V100`);
  }
}

// Where nothing is known, there is no line: each stretch that is known is one.
function stretches(values, most) {
  const found = [];
  let open = null;
  values.forEach((value, n) => {
    if (value === null) return (open = null);
    if (!open) found.push((open = []));
    open.push([((n + 0.5) / values.length) * 100, 100 - Math.min(1, value / most) * 98]);
  });
  return found;
}

const points = (stretch) => stretch.map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join("L");

function line(values, most) {
  return stretches(values, most).map((stretch) => `M${points(stretch)}h.01`).join("");
}

function area(values, most) {
  return stretches(values, most).map((stretch) => `M${stretch[0][0].toFixed(2)} 100L${points(stretch)}V100Z`).join("");
}
