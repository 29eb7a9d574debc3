// The line to the show: one WebSocket, taken up again by itself, and the show's state as the engine itself has it.

const FIRST_WAIT = 200, LONGEST_WAIT = 4000; // ms between attempts
const SILENCE = 1000, DEAD = 3000;           // ms without a word: said so; given up and dialled again
const STALE = 2000;                          // ms without a new state: the line is good, the show is not

export function merge(target, patch) {
  // RFC 7396, into fresh objects only where something changed.
  const merged = { ...target };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else if (typeof value === "object" && !Array.isArray(value)) {
      const old = merged[name];
      merged[name] = merge(old && typeof old === "object" && !Array.isArray(old) ? old : {}, value);
    } else merged[name] = value;
  }
  return merged;
}

export class Line extends EventTarget {
  // Events: "schema", "state", "desk", "wrong" (detail: text), "line" (detail: opening | good | stale | silent | lost).
  constructor(path) {
    super();
    this.path = path;
    this.schema = { macros: [], params: [], looks: [] };
    this.crowd = false;
    this.state = null;
    this.desk = null;
    this.condition = "opening";
    this.attempts = 0;
    this.moves = new Map();
    setInterval(() => this.#listen(), 250);
    addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#now(); });
    this.dial();
  }

  dial() {
    clearTimeout(this.timer);
    this.timer = 0;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    this.socket = socket;
    this.heard = performance.now();
    socket.onmessage = (event) => { if (socket === this.socket) this.#take(event.data); };
    socket.onclose = () => { if (socket === this.socket) this.#lost(); };
  }

  get open() { return this.socket && this.socket.readyState === WebSocket.OPEN && this.condition !== "lost"; }

  send(message) {
    if (!this.open) return false;
    this.#flush();
    this.socket.send(JSON.stringify(message));
    return true;
  }

  // A fader's move: while the line is busy only the latest of each fader waits.
  move(key, message) {
    if (!this.open) return false;
    this.moves.set(key, JSON.stringify(message));
    if (this.socket.bufferedAmount === 0) this.#flush();
    else if (!this.later) this.later = setTimeout(() => { this.later = 0; if (this.open) this.#flush(); }, 16);
    return true;
  }

  #flush() {
    for (const text of this.moves.values()) this.socket.send(text);
    this.moves.clear();
  }

  #take(data) {
    this.heard = performance.now();
    const message = JSON.parse(data);
    if (message.n) this.socket.send(`{"kind":"seen","n":${message.n}}`);
    this.attempts = 0;
    if (message.kind === "schema") {
      this.schema = message.schema;
      this.crowd = message.crowd;
      this.dispatchEvent(new Event("schema"));
    } else if (message.kind === "whole" || message.kind === "change") {
      this.state = message.kind === "whole" ? message.state : merge(this.state, message.state);
      this.stated = this.heard;
      this.dispatchEvent(new Event("state"));
    } else if (message.kind === "desk") {
      this.desk = message.desk;
      this.dispatchEvent(new Event("desk"));
    } else if (message.kind === "wrong") this.dispatchEvent(new CustomEvent("wrong", { detail: message.text }));
    if (!this.state) this.#be("opening");
    else this.#be(this.heard - this.stated > STALE ? "stale" : "good");
  }

  #listen() {
    const quiet = performance.now() - this.heard;
    if (this.timer || document.hidden) return;
    if (quiet > DEAD) {
      const socket = this.socket;
      this.#lost();
      socket.close();
    } else if (quiet > SILENCE) this.#be("silent");
  }

  #lost() {
    this.socket = null;
    this.moves.clear();
    this.#be("lost");
    if (this.timer) return;
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 1.7 ** this.attempts);
    this.attempts += 1;
    // Not all pages of a room at once.
    this.timer = setTimeout(() => this.#again(), wait * (0.75 + Math.random() / 2));
  }

  async #again() {
    if (this.trying) return;
    this.trying = true;
    // A browser does not tell why a WebSocket was refused: a plain request does.
    try {
      const answer = await fetch("/stage", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(3000) });
      if (answer.status === 401) return location.replace("/stage");
    } catch { /* not there yet */ } finally { this.trying = false; }
    this.dial();
  }

  #now() {
    if (this.timer) { clearTimeout(this.timer); this.attempts = 0; this.#again(); } else this.heard = performance.now();
  }

  #be(condition) {
    if (condition === this.condition) return;
    this.condition = condition;
    this.dispatchEvent(new CustomEvent("line", { detail: condition }));
  }
}
