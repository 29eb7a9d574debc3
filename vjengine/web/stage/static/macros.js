// Macros: tiles that are held or flipped, and levels; and BLACKOUT and PANIC, which are always there.

import { Fader, Held, Switch } from "./controls.js";
import { el, mark, write } from "./units.js";

const PANIC_HOLD = 500; // ms
export const level = (macro) => ({
  name: macro.name, unit: "%", low: 0, high: 100, default: macro.initial * 100, curve: "linear", choices: [],
  doc: macro.summary,
});

export class Macros {
  constructor(line, box) {
    this.line = line; this.box = box;
    this.tiles = new Map();
    line.addEventListener("schema", () => this.build());
  }

  set(name, value) { return this.line.send({ kind: "macro", name, value }); }

  build() {
    this.tiles.clear();
    const levels = [], others = [], groups = new Map();
    for (const macro of this.line.schema.macros) {
      if (["BLACKOUT", "PANIC"].includes(macro.name)) continue;
      if (macro.group && !groups.has(macro.group)) groups.set(macro.group, []);
      const part = macro.kind === "level" ? levels : macro.group ? groups.get(macro.group) : others;
      part.push(this.#tile(macro));
    }
    // What is held before what is flipped: they look different and are played differently.
    others.sort((a, b) => (a.macro.kind === "toggle") - (b.macro.kind === "toggle"));
    const box = (kind, label, tiles) => el("div", { class: kind, role: "group", "aria-label": label }, ...tiles.map((tile) => tile.node));
    this.box.replaceChildren(box("levels", "levels", levels),
      ...[...groups].map(([name, tiles]) => box("tiles grouped", `${name}: one at a time`, tiles)), box("tiles", "macros", others));
  }

  #tile(macro) {
    const { name, kind } = macro;
    if (kind === "level") {
      const fader = new Fader(level(macro), name, {
        onMove: (value) => this.line.move(`macro ${name}`, { kind: "macro", name, value }),
        onHome: () => this.set(name, macro.initial),
      });
      mark(fader.node, "data-macro", name);
      mark(fader.node, "data-learn", name);
      if (macro.key) fader.name.append(" ", el("kbd", { text: macro.key }));
      const tile = { node: fader.node, show: ([asked]) => fader.show(asked, null), fader, macro };
      this.tiles.set(name, tile);
      return tile;
    }
    const note = el("small");
    const node = el("button", {
      class: `macro ${kind}`, type: "button", "aria-pressed": "false", title: macro.summary, "data-macro": name, "data-learn": name,
    }, el("i", { class: "envelope" }), el("b", { text: name }), el("kbd", { text: macro.key }), note);
    let control;
    if (kind === "toggle") control = new Switch(node, (on) => this.set(name, on ? 1 : 0));
    else {
      control = new Held(node, (on) => {
        mark(node, "aria-pressed", on);
        // What was let go while the line was down has been let go by the other end.
        this.set(name, on ? 1 : 0);
      });
    }
    const show = ([asked, envelope, armed, under]) => {
      if (kind === "toggle") control.show(asked > 0);
      else if (!control.mine) mark(node, "aria-pressed", asked > 0);
      node.classList.toggle("armed", armed);
      node.classList.toggle("under", under && asked > 0);
      node.firstChild.style.setProperty("--at", String(envelope));
      write(note, armed ? "waits" : under && asked > 0 ? "held back" : "");
    };
    const tile = { node, show, control, macro };
    this.tiles.set(name, tile);
    return tile;
  }

  show(macros) {
    for (const [name, tile] of this.tiles) {
      const now = macros[name];
      if (!now || now === tile.shown && !tile.control?.mine && tile.settled) continue;
      tile.settled = !(tile.control ?? tile.fader).mine;
      tile.shown = now;
      tile.show(now);
    }
  }
}

export class Emergency {
  constructor(line, say) {
    this.line = line;
    const bar = document.getElementById("top");
    this.black = new Switch(document.getElementById("blackout"), (on) => {
      const value = on ? 1 : 0;
      const order = this.macro ? { kind: "macro", name: "BLACKOUT", value } : { kind: "param", name: "out.black", value };
      if (!line.send(order)) return false;
      bar.toggleAttribute("data-black", on);
      return true;
    });
    this.bar = bar;
    const panic = document.getElementById("panic");
    let timer = 0;
    const end = () => { clearTimeout(timer); timer = 0; panic.classList.remove("filling"); };
    this.beginPanic = () => {
      if (timer) return;
      panic.classList.add("filling");
      timer = setTimeout(() => {
        end();
        if (line.send({ kind: "trigger", action: "panic" })) say("Panic: everything as the look is written");
        navigator.vibrate?.(40);
      }, PANIC_HOLD);
    };
    this.endPanic = end;
    panic.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      panic.setPointerCapture(event.pointerId);
      this.beginPanic();
    });
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) panic.addEventListener(kind, end);
    panic.addEventListener("keydown", (event) => {
      if (![" ", "Enter"].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      if (!event.repeat) this.beginPanic();
    });
    panic.addEventListener("keyup", end);
    addEventListener("blur", end);
  }

  get macro() { return this.line.schema.macros.some((macro) => macro.name === "BLACKOUT"); }

  show(state) {
    const asked = this.macro ? state.macros.BLACKOUT : state.params["out.black"];
    if (!asked) return;
    this.black.show(asked[0] > 0);
    this.bar.toggleAttribute("data-black", this.black.on);
  }
}
