// A run as rows of a table: its state, and its log once that is opened.

import { stopRun } from "./own.js";
import { Refused, clean, clock, duration, listen, make, mark, mayAct, say, show } from "./parts.js";

const COLUMNS = ["Run", "Name", "Host", "State", "GPUs", "Submitted", "Took", "Exit", "Command"];
const OVER = ["completed", "failed", "stopped", "lost"];
const MOST_LINES = 2000;
// A browser has six connections to a server, and the page itself needs some of them.
const MOST_LOGS = 3;
const opened = [];

export function runRow({ host, run }) {
  const body = make("tbody");
  const row = make("tr");
  const cells = COLUMNS.map((label) => {
    const cell = make("td");
    cell.dataset.label = label;
    row.append(cell);
    return cell;
  });
  const button = make("button", "open", run.id);
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  const stop = make("button", "do", "Stop …");
  stop.type = "button";
  stop.hidden = true;
  mark(stop, "aria-label", clean(`Stop run ${run.id}`));
  stop.addEventListener("click", () => stopRun(body.item));
  cells[0].append(button, " ", stop);
  const under = make("tr", "under");
  const place = make("td");
  place.colSpan = COLUMNS.length;
  under.append(place);
  under.hidden = true;
  body.append(row, under);
  let log = null;
  const close = () => {
    log.close();
    log = null;
    opened.splice(opened.indexOf(close), 1);
    under.hidden = true;
    mark(button, "aria-expanded", "false");
  };
  button.addEventListener("click", () => {
    if (log) return close();
    if (opened.length >= MOST_LOGS) opened[0]();
    log = new Log(place, host, run.id);
    opened.push(close);
    under.hidden = false;
    mark(button, "aria-expanded", "true");
  });
  body.update = ({ host, ours, run }) => {
    body.item = { host, run };
    show(stop, ours && mayAct() && !OVER.includes(run.state));
    const texts = [run.label || run.name, host, stateOf(run), run.request.gpus, clock(run.submitted_epoch_seconds),
      run.seconds === null ? "" : duration(run.seconds), run.exit_code ?? "", run.command.join(" ")];
    texts.forEach((text, n) => say(cells[n + 1], clean(text)));
    mark(row, "data-state", run.state);
  };
  return body;
}

function stateOf(run) {
  const place = run.place === null ? "" : `, place ${run.place}`;
  const why = run.reason ? ` (${run.reason})` : "";
  return `${run.state}${place}${why}${run.note ? "?" : ""}`;
}

class Log {
  constructor(place, host, run) {
    this.frame = make("div", "log");
    this.frame.tabIndex = 0;
    this.frame.setAttribute("role", "log");
    this.frame.setAttribute("aria-label", `Log of run ${run}`);
    this.lines = make("div");
    this.open = make("div", "line");
    this.state = make("p", "log-state", "Opening the log …");
    this.frame.append(this.lines, this.open);
    place.append(this.frame, this.state);
    this.closed = new AbortController();
    this.follow(host, run);
  }

  close() {
    this.closed.abort();
    this.frame.remove();
    this.state.remove();
  }

  async follow(host, run) {
    const path = `api/log?${new URLSearchParams({ host, run })}`;
    try {
      let over = false;
      await listen(path, this.closed.signal, (kind, data) => {
        if (!this.frame.isConnected) return this.closed.abort(); // its row has gone
        if (kind === "log") this.add(data);
        if (kind === "run") say(this.state, stateOf(data));
        if (kind === "end") say(this.state, `The end of the log: ${clean(stateOf(data))}`);
        if (kind === "error") say(this.state, clean(data.message));
        over ||= kind === "end" || kind === "error";
      });
      if (!over) say(this.state, "The connection has ended; open the log again.");
    } catch (error) {
      if (this.closed.signal.aborted) return;
      say(this.state, error instanceof Refused ? clean(error.message) : "The connection has ended; open the log again.");
    }
  }

  add({ missing, lines, open }) {
    const { scrollTop, scrollHeight, clientHeight } = this.frame;
    const atEnd = scrollTop + clientHeight >= scrollHeight - 4;
    const texts = missing ? [`… ${missing} bytes are not kept any more`, ...lines] : lines;
    const more = document.createDocumentFragment();
    for (const text of texts.slice(-MOST_LINES)) more.append(make("div", "line", text || "\u00a0"));
    this.lines.append(more);
    while (this.lines.childElementCount > MOST_LINES) this.lines.firstChild.remove();
    say(this.open, open);
    if (atEnd) this.frame.scrollTop = this.frame.scrollHeight;
  }
}
