// The crowd's queue as the performer handles it. All text of strangers is set as text, never as markup.

import { Choice, Switch, pressTwice } from "./controls.js";
import { control } from "./faders.js";
import { el, mark, write } from "./units.js";

const MODES = ["auto", "ask", "vote"];
const STATES = { asked: "asks", ready: "in the queue", pinned: "next" };
const CALM = 400; // ms after a touch for which no row moves away under the finger

export class Crowd {
  constructor(line) {
    this.line = line;
    this.panel = document.getElementById("crowd");
    this.tab = document.querySelector('#tabs [data-tab="crowd"]');
    this.badge = document.getElementById("crowd-mark");
    this.rows = new Map();
    this.controls = [];
    line.addEventListener("schema", () => this.build());
    line.addEventListener("desk", () => this.desk());
    this.calm = 0;
    this.panel.addEventListener("pointerdown", () => { this.pressed = true; });
    for (const kind of ["pointerup", "pointercancel"]) {
      addEventListener(kind, () => {
        if (!this.pressed) return;
        this.pressed = false;
        this.calm = performance.now() + CALM;
        setTimeout(() => this.desk(), CALM + 10);
      });
    }
  }

  send(action, more = {}) { return this.line.send({ kind: "desk", action, ...more }); }

  build() {
    this.tab.hidden = this.panel.hidden = !this.line.crowd;
    document.body.toggleAttribute("data-crowd", this.line.crowd);
    if (!this.line.crowd) {
      if (document.body.dataset.tab === "crowd") document.body.dataset.tab = "macros";
      return;
    }
    const byName = new Map(this.line.schema.params.map((row) => [row.name, row]));
    const names = { "crowd.lock": "lock: the scene is yours alone", "crowd.entry": "comes in", "crowd.share": "share of the prompt",
      "crowd.blend": "blend", "crowd.turn": "turn" };
    this.controls = Object.entries(names).filter(([name]) => byName.has(name))
      .map(([name, label]) => [name, control(this.line, byName.get(name), label)]);
    this.mode = new Choice("how prompts get in", MODES, (i) => this.send("mode", { mode: MODES[i] }));
    this.playing = el("p", { class: "now" });
    this.guests = el("p", { class: "guests" });
    const skip = el("button", { type: "button", text: "Skip" });
    skip.addEventListener("click", () => this.send("skip"));
    const clear = el("button", { type: "button", text: "Clear all" });
    pressTwice(clear, () => this.send("clear"));
    this.queue = el("ol", { class: "queue", "aria-label": "Queue" });
    this.banned = el("div", { class: "banned" });
    const top = [el("div", { class: "labelled" }, el("span", { class: "name", text: "prompts get in" }), this.mode.node)];
    // Where there is a macro for it, the macro is the one truth: other hands have it too.
    const has = (name) => this.line.schema.macros.some((macro) => macro.name === name && macro.kind === "toggle");
    this.switches = [["QR", "QR code on the screen"], ["LOCK", "lock: the scene is yours alone"]].filter(([name]) => has(name))
      .map(([name, label]) => {
        const node = el("button", { class: "switch", type: "button", role: "switch", "aria-checked": "false", "data-macro": name,
          "data-learn": name }, el("span", { class: "name", text: label }), el("i"));
        top.push(node);
        return [name, new Switch(node, (on) => this.line.send({ kind: "macro", name, value: on ? 1 : 0 }))];
      });
    if (has("LOCK")) this.controls = this.controls.filter(([name]) => name !== "crowd.lock");
    const lock = this.controls.filter(([name]) => name === "crowd.lock");
    const others = this.controls.filter(([name]) => name !== "crowd.lock");
    this.rows.clear();
    this.panel.replaceChildren(this.playing, el("div", { class: "row" }, skip, clear), ...top,
      ...lock.map(([, made]) => made.node), this.guests, this.queue, ...others.map(([, made]) => made.node), this.banned);
    this.desk();
  }

  show(state) {
    if (!this.line.crowd) return;
    for (const [name, made] of this.controls) made.show(state.params[name]);
    for (const [name, made] of this.switches) if (state.macros[name]) made.show(state.macros[name][0] > 0);
  }

  desk() {
    const desk = this.line.desk;
    if (!desk || !this.queue || this.pressed || performance.now() < this.calm) return;
    this.mode.show(MODES.indexOf(desk.mode));
    const { playing } = desk;
    write(this.playing, playing ? `${desk.held ? "held: " : ""}“${playing.text}”${playing.author ? ` by ${playing.author}` : ""}`
      : "The crowd's prompt: none");
    const asked = desk.waiting.filter((one) => one.state === "asked").length;
    write(this.guests, `${desk.guests} ${desk.guests === 1 ? "guest" : "guests"} · ${desk.waiting.length} waiting`);
    this.badge.hidden = !asked;
    write(this.badge, asked > 99 ? "99" : String(asked));
    mark(this.badge, "aria-label", `${asked} ask`);
    const kept = new Set(desk.waiting.map((one) => one.id));
    for (const [id, row] of this.rows) if (!kept.has(id)) { row.node.remove(); this.rows.delete(id); }
    desk.waiting.forEach((one, i) => {
      let row = this.rows.get(one.id);
      if (!row) this.rows.set(one.id, row = this.#row(one));
      row.show(one);
      // Moving a node that is in its place already would take the focus from its buttons.
      if (this.queue.children[i] !== row.node) this.queue.insertBefore(row.node, this.queue.children[i] ?? null);
    });
    mark(this.queue, "data-empty", !desk.waiting.length);
    if (String(desk.banned) !== this.out) {
      this.out = String(desk.banned);
      this.banned.replaceChildren(...desk.banned.map((name) => {
        const button = el("button", { type: "button", text: `Let ${name} in again` });
        button.addEventListener("click", () => this.send("unban", { name }));
        return button;
      }));
    }
  }

  #row({ id, text, author }) {
    const button = (label, action, twice) => {
      const made = el("button", { type: "button", text: label, "data-action": action, "aria-label": `${label}: ${text}` });
      if (twice) pressTwice(made, () => this.send(action, { id }));
      else made.addEventListener("click", () => this.send(action, { id }));
      return made;
    };
    const approve = button("Approve", "approve");
    const note = el("span");
    const node = el("li", {}, el("p", {}, el("b", { text, dir: "auto" }), el("small", {}, el("bdi", { text: author || "somebody" }), note)),
      el("div", { class: "row" }, approve, button("Next", "pin"), button("Reject", "reject"), button("Ban", "ban", true)));
    return { node, show: (one) => {
      mark(node, "data-state", one.state);
      approve.disabled = one.state !== "asked";
      write(note, ` · ${STATES[one.state] ?? one.state}${one.votes ? ` · ${one.votes} ♥` : ""}`);
    } };
  }
}
