// What plays: the picture, the look, the prompt, and how everything is.

import { el, mark, write } from "./units.js";

const WATCHED = "vjengine.stage.preview";

export class Live {
  constructor(line) {
    this.line = line;
    const find = (id) => document.getElementById(id);
    this.now = find("look-now"); this.generator = find("generator"); this.said = find("prompt-now");
    this.list = find("status"); this.badge = find("status-mark");
    const text = find("prompt-text");
    find("prompt").addEventListener("submit", (event) => {
      event.preventDefault();
      if (text.value.trim() && line.send({ kind: "prompt", text: text.value.trim() })) { text.value = ""; text.blur(); }
    });
    find("prompt-clear").addEventListener("click", () => { text.value = ""; line.send({ kind: "prompt", text: "" }); });
    for (const button of document.querySelectorAll("[data-trigger]")) {
      button.addEventListener("click", () => line.send({ kind: "trigger", action: button.dataset.trigger }));
    }
  }

  show(state) {
    const { engine, crowd } = state;
    write(this.now, state.look || "–");
    const made = [engine.generator, engine.state, engine.detail].filter(Boolean).join(" · ");
    write(this.generator, engine.generator_fps > 0 ? `${made} · ${engine.generator_fps.toFixed(0)} fps` : made);
    const voice = crowd.text ? `${crowd.author || "crowd"}: “${crowd.text}” ${Math.round(crowd.amount * 100)} %` : "";
    write(this.said, [state.prompt && `“${state.prompt}”`, voice].filter(Boolean).join("   +   ") || "no prompt");
    if (state.status !== this.seen || engine.recording !== this.recording || String(engine.midi) !== this.midi) {
      this.seen = state.status; this.recording = engine.recording; this.midi = String(engine.midi);
      this.#status(state);
    }
  }

  #status({ status, engine }) {
    const rank = { error: 0, warn: 1, ok: 2 };
    const rows = status.map((one) => [one.level, one.component, one.message || (one.level === "ok" ? "works" : one.level)]);
    rows.push(["ok", "recorder", engine.recording || "not recording"]);
    rows.push(["ok", "controllers", engine.midi.join(", ") || "none"]);
    rows.sort((a, b) => rank[a[0]] - rank[b[0]]);
    const words = { ok: "fine", warn: "warning", error: "error" };
    this.list.replaceChildren(...rows.map(([level, component, message]) => el("li", { "data-level": level },
      el("i", { role: "img", "aria-label": words[level] }), el("b", { text: component }), el("span", { text: message }))));
    const worst = rows[0][0];
    this.badge.hidden = worst === "ok";
    mark(this.badge, "data-level", worst);
    mark(this.badge, "aria-label", words[worst]);
  }
}

export class Looks {
  constructor(line) {
    this.line = line;
    this.list = document.getElementById("look-list");
    for (const button of document.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => line.send({ kind: "look", step: Number(button.dataset.step) }));
    }
    line.addEventListener("schema", () => {
      this.list.replaceChildren(...line.schema.looks.map((name) => {
        const tile = el("button", { class: "look", type: "button", text: name, "data-look": name, "data-learn": `look:${name}` });
        tile.addEventListener("click", () => {
          if (!line.send({ kind: "look", name })) return;
          this.wish = performance.now() + 250;
          this.#light(name);
        });
        return tile;
      }));
      this.lit = null;
    });
  }

  show(state) { if (!(performance.now() < this.wish)) this.#light(state.look); }

  #light(name) {
    if (name === this.lit) return;
    this.lit = name;
    for (const tile of this.list.children) {
      if (tile.dataset.look === name) { tile.setAttribute("aria-current", "true"); tile.scrollIntoView({ block: "nearest" }); }
      else tile.removeAttribute("aria-current");
    }
  }
}

// The picture, one at a time: the next is asked for when the last is drawn. Only while somebody can see it.
export class Picture {
  constructor(path) {
    this.path = path;
    this.canvas = document.getElementById("picture");
    this.none = document.getElementById("no-picture");
    const button = document.getElementById("picture-on");
    this.wanted = localStorage.getItem(WATCHED) !== "off";
    this.seen = false;
    this.wait = 500;
    const draw = () => { mark(button, "aria-pressed", this.wanted); write(button.firstChild, this.wanted ? "Hide" : "Show"); };
    draw();
    button.addEventListener("click", () => {
      this.wanted = !this.wanted;
      draw();
      try { localStorage.setItem(WATCHED, this.wanted ? "on" : "off"); } catch { /* private browsing keeps nothing */ }
      this.look();
    });
    new IntersectionObserver(([entry]) => { this.seen = entry.isIntersecting; this.look(); }).observe(this.canvas);
    document.addEventListener("visibilitychange", () => this.look());
  }

  look() {
    const on = this.wanted && this.seen && !document.hidden;
    if (on && !this.socket && !this.timer) this.#open();
    if (!on) {
      clearTimeout(this.timer);
      this.timer = 0;
      const socket = this.socket;
      this.socket = null;
      socket?.close();
      if (!this.wanted) this.#blank("preview is off");
    }
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    this.socket = socket;
    socket.binaryType = "blob";
    socket.onmessage = async (event) => {
      this.wait = 500;
      try {
        const picture = await createImageBitmap(event.data);
        const { canvas } = this;
        if (canvas.width !== picture.width || canvas.height !== picture.height) {
          canvas.width = picture.width; canvas.height = picture.height;
        }
        canvas.getContext("2d").drawImage(picture, 0, 0);
        picture.close();
        this.none.hidden = true;
        canvas.dataset.drawn = String(Number(canvas.dataset.drawn ?? 0) + 1);
      } catch { /* a torn picture; the next one will do */ }
      if (socket.readyState === WebSocket.OPEN) socket.send("next");
    };
    socket.onclose = () => {
      if (socket !== this.socket) return;
      this.socket = null;
      this.#blank("no picture");
      this.wait = Math.min(8000, this.wait * 1.6);
      this.timer = setTimeout(() => { this.timer = 0; this.look(); }, this.wait);
    };
  }

  #blank(words) {
    const { canvas } = this;
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    write(this.none, words);
    this.none.hidden = false;
  }
}
