// Every parameter of the show: by room, by search, or the performer's favourites.

import { Choice, Fader, Switch } from "./controls.js";
import { el, fromUnit, mark, toUnit, write } from "./units.js";

const KEPT = "vjengine.stage.favourites";

export function control(line, row, label) {
  const send = (place) => line.move(`param ${row.name}`, { kind: "param", name: row.name, position: place });
  const home = () => line.send({ kind: "param", name: row.name, value: row.default });
  let made, show;
  if (row.choices.length) {
    made = new Choice(row.name, row.choices, (i) => send(toUnit(row, i)));
    made.node = el("div", { class: "labelled", title: row.doc }, el("span", { class: "name", text: label }), made.node);
    const { buttons } = made;
    show = ([place, value]) => {
      const asked = Math.round(fromUnit(row, place)), played = Math.round(value);
      made.show(asked);
      buttons.forEach((button, i) => button.classList.toggle("apart", i === played && played !== asked));
    };
  } else if (row.curve === "switch") {
    const node = el("button", { class: "switch", type: "button", role: "switch", "aria-checked": "false", title: row.doc,
      "aria-label": row.name }, el("span", { class: "name", text: label }), el("i"));
    made = new Switch(node, (on) => send(on ? 1 : 0));
    show = ([place, value]) => {
      made.show(place >= 0.5);
      node.classList.toggle("apart", (value >= 0.5) !== (place >= 0.5));
    };
  } else {
    made = new Fader(row, label, { onMove: send, onHome: home });
    show = ([place, value]) => made.show(place, value);
  }
  mark(made.node, "data-param", row.name);
  mark(made.node, "data-learn", row.name);
  let shown = null, settled = false;
  return { node: made.node, show: (now) => {
    if (!now || (now === shown && settled)) return;
    shown = now;
    settled = !made.mine;
    show(now);
  } };
}

export class Faders {
  constructor(line) {
    this.line = line;
    this.rooms = document.getElementById("rooms");
    this.list = document.getElementById("fader-list");
    this.search = document.getElementById("search");
    this.room = "";
    this.shown = [];
    try { this.favourites = new Set(JSON.parse(localStorage.getItem(KEPT) ?? "[]")); } catch { this.favourites = new Set(); }
    this.search.addEventListener("input", () => this.#list());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.search.value) { this.search.value = ""; this.#list(); event.stopPropagation(); }
    });
    line.addEventListener("schema", () => this.build());
  }

  build() {
    const names = [...new Set(this.line.schema.params.map((row) => row.name.split(".")[0]))];
    if (this.room !== "★" && !names.includes(this.room)) this.room = this.favourites.size ? "★" : names[0] ?? "";
    this.rooms.replaceChildren(...["★", ...names].map((room) => {
      const button = el("button", { type: "button", text: room, "aria-label": room === "★" ? "favourites" : room, "data-room": room });
      button.addEventListener("click", () => { this.room = room; this.search.value = ""; this.#list(); this.list.scrollTop = 0; });
      return button;
    }));
    this.#list();
  }

  #list() {
    const asked = this.search.value.trim().toLowerCase();
    for (const chip of this.rooms.children) mark(chip, "aria-pressed", !asked && chip.dataset.room === this.room);
    const rows = this.line.schema.params.filter((row) => {
      if (asked) return asked.split(/\s+/).every((word) => `${row.name} ${row.doc}`.toLowerCase().includes(word));
      return this.room === "★" ? this.favourites.has(row.name) : row.name.split(".")[0] === this.room;
    });
    const whole = asked || this.room === "★";
    this.shown = rows.map((row) => {
      const [, ...rest] = row.name.split(".");
      const made = control(this.line, row, whole ? row.name : rest.join(".").replaceAll("_", " "));
      return { row, made, node: el("div", { class: "param" }, this.#star(row.name), made.node) };
    });
    const empty = asked ? "Nothing is called that." : "Press a star beside a fader: it then comes here.";
    this.list.replaceChildren(...(rows.length ? this.shown.map((one) => one.node) : [el("p", { class: "empty", text: empty })]));
    if (this.line.state) this.show(this.line.state.params);
  }

  #star(name) {
    const button = el("button", { class: "star", type: "button", "aria-label": `favourite: ${name}` });
    const draw = () => {
      mark(button, "aria-pressed", this.favourites.has(name));
      write(button, this.favourites.has(name) ? "★" : "☆");
    };
    button.addEventListener("click", () => {
      if (!this.favourites.delete(name)) this.favourites.add(name);
      try { localStorage.setItem(KEPT, JSON.stringify([...this.favourites])); } catch { /* private browsing keeps nothing */ }
      draw();
    });
    draw();
    return button;
  }

  show(params) { for (const { row, made } of this.shown) made.show(params[row.name]); }
}

export class Learn {
  // While on, what is touched is not moved but learnt: the next thing moved on a controller then plays it.
  constructor(line) {
    this.line = line;
    this.button = document.getElementById("learn");
    this.bar = document.getElementById("learning");
    [this.words, this.undo] = this.bar.children;
    this.on = false;
    this.button.addEventListener("click", () => this.#be(!this.on));
    this.undo.addEventListener("click", () => line.send({ kind: "learn", undo: true }));
    line.addEventListener("schema", () => {
      this.button.hidden = line.schema.learn !== true;
      if (this.button.hidden) this.#be(false);
    });
    const swallow = (event) => {
      const aim = this.on && event.target.closest?.("[data-learn]");
      if (!aim || (event.type === "keydown" && ![" ", "Enter"].includes(event.key))) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      // A finger aims as it comes down; a click without one is the keyboard's or assistive technology's.
      if (event.type === "pointerdown" || event.type === "keydown" || (event.type === "click" && event.detail === 0)) this.#aim(aim);
    };
    for (const kind of ["pointerdown", "pointerup", "click", "keydown"]) document.addEventListener(kind, swallow, true);
    addEventListener("keydown", (event) => { if (event.key === "Escape" && this.on) this.#be(false); });
  }

  #aim(node) {
    this.target = node.dataset.learn;
    this.line.send({ kind: "learn", target: this.target });
    for (const other of document.querySelectorAll(".aimed")) other.classList.remove("aimed");
    node.classList.add("aimed");
  }

  #be(on) {
    if (on === this.on) return;
    this.on = on;
    document.body.toggleAttribute("data-learning", on);
    mark(this.button, "aria-pressed", on);
    this.bar.hidden = !on;
    write(this.words, "Touch what you want to map");
    if (on) return;
    for (const node of document.querySelectorAll(".aimed")) node.classList.remove("aimed");
    if (this.target) this.line.send({ kind: "learn", target: "" });
    this.target = "";
  }

  show(status) {
    if (!this.on) return;
    const said = status.find((one) => one.component === "midi learn" && one.message);
    write(this.words, said?.message ?? (this.target ? `learning ${this.target}` : "Touch what you want to map"));
  }
}
