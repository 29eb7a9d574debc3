// Faders, buttons that are held, switches and choices. A control that a finger is on listens to no echo.

import { discrete, el, fromUnit, limit, mark, stride, toUnit, words, write } from "./units.js";

const GRACE = 250;     // ms for which the engine's echo is left unheard after the finger has left
const DOUBLE = 320;    // ms between the taps of a double tap
const SLACK = 5;       // px that a finger may tremble
const AWAY = 56;       // px across the fader beyond which moves are fine
const FINE = 0.1;

// What is held down right now; all of it lets go when the page loses sight of the finger.
const held = new Set();
export const releaseAll = () => { for (const release of [...held]) release(); };
addEventListener("blur", releaseAll);
addEventListener("pagehide", releaseAll);
document.addEventListener("visibilitychange", () => { if (document.hidden) releaseAll(); });

// Acts at once when touched, as an instrument does; by keyboard and assistive technology too.
export function press(button, act) {
  button.addEventListener("pointerdown", (event) => { if (event.button === 0) act(event); });
  button.addEventListener("click", (event) => { if (event.detail === 0) act(event); });
}

// Two presses for what cannot be taken back.
export function pressTwice(button, act) {
  const label = button.textContent;
  let timer = 0;
  const calm = () => { clearTimeout(timer); timer = 0; button.textContent = label; button.classList.remove("sure"); };
  button.addEventListener("click", () => {
    if (timer) { calm(); act(); return; }
    button.textContent = "Sure?";
    button.classList.add("sure");
    timer = setTimeout(calm, 2500);
  });
}

// After a click the keyboard is the show's again; who walks with Tab keeps the focus.
addEventListener("click", (event) => { if (event.detail > 0) event.target.closest?.("button")?.blur(); });

class Control {
  constructor() { this.free = 0; this.busy = false; }
  get mine() { return this.busy || performance.now() < this.free; }
  touched() { this.free = performance.now() + GRACE; }
}

export class Fader extends Control {
  // row: of the parameter table. onMove(place) for every move, onHome() for a double tap. Shows nothing until told.
  constructor(row, label, { onMove, onHome }) {
    super();
    this.row = row; this.onMove = onMove; this.onHome = onHome;
    this.place = 0; this.force = null;
    this.name = el("span", { class: "name", text: label });
    this.value = el("span", { class: "value" });
    this.fill = el("i", { class: "fill" });
    this.tick = el("i", { class: "force" });
    this.node = el("div", {
      class: "fader", role: "slider", tabindex: "0", title: row.doc, "aria-label": row.name,
      "aria-valuemin": row.low, "aria-valuemax": row.high,
    }, this.fill, this.tick, this.name, this.value);
    this.#listen();
    this.#draw();
  }

  show(place, value) {
    this.force = value;
    if (!this.mine) this.place = place;
    this.#draw();
  }

  #draw() {
    const value = fromUnit(this.row, this.place), text = words(this.row, value);
    this.fill.style.setProperty("--at", String(this.place));
    write(this.value, text);
    mark(this.node, "aria-valuenow", Number(value.toPrecision(4)));
    mark(this.node, "aria-valuetext", text);
    const at = this.force === null ? this.place : toUnit(this.row, this.force);
    this.tick.style.setProperty("--at", String(at));
    // What macros and the music make of it is only worth a mark where it differs.
    this.tick.classList.toggle("apart", Math.abs(at - this.place) > 0.004);
  }

  move(place) {
    this.raw = limit(place);
    const value = discrete(this.row) ? toUnit(this.row, fromUnit(this.row, this.raw)) : this.raw;
    this.touched();
    if (value === this.place) return;
    this.place = value;
    this.#draw();
    this.onMove(value);
  }

  home() {
    this.touched();
    this.place = toUnit(this.row, this.row.default);
    this.#draw();
    this.onHome();
  }

  #listen() {
    const node = this.node;
    let pointer = null, begun, x, y, last = 0, moved;
    const end = () => {
      if (pointer === null) return;
      pointer = null;
      this.busy = false;
      this.touched();
      node.classList.remove("held");
    };
    node.addEventListener("pointerdown", (event) => {
      if (pointer !== null || event.button !== 0) return;
      pointer = event.pointerId;
      node.setPointerCapture(pointer);
      begun = { x: event.clientX, y: event.clientY };
      x = event.clientX; y = event.clientY;
      moved = false;
      this.busy = true;
      this.raw = this.place;
      node.classList.add("held");
    });
    node.addEventListener("pointermove", (event) => {
      if (event.pointerId !== pointer) return;
      // Relative: touching a fader must not make it jump, nor must scrolling past it.
      if (!moved && Math.abs(event.clientX - begun.x) < SLACK) return;
      const step = event.clientX - x;
      if (!moved) { moved = true; x = event.clientX; return; }
      x = event.clientX; y = event.clientY;
      const fine = event.shiftKey || Math.abs(y - begun.y) > AWAY;
      node.classList.toggle("fine", fine);
      this.move(this.raw + (step / node.clientWidth) * (fine ? FINE : 1));
    });
    node.addEventListener("pointerup", (event) => {
      if (event.pointerId !== pointer) return;
      const now = performance.now();
      if (!moved && Math.hypot(event.clientX - begun.x, event.clientY - begun.y) < 2 * SLACK) {
        if (now - last < DOUBLE) { last = 0; clearTimeout(this.jump); this.home(); }
        else {
          last = now;
          // A mouse points well: it may jump, unless a second click follows.
          const box = node.getBoundingClientRect(), place = (event.clientX - box.left) / box.width;
          if (event.pointerType === "mouse") this.jump = setTimeout(() => this.move(place), DOUBLE);
        }
      }
      end();
    });
    for (const kind of ["pointercancel", "lostpointercapture"]) node.addEventListener(kind, end);
    addEventListener("blur", end);
    node.addEventListener("wheel", (event) => {
      // Only a fader that has the focus: who scrolls past must change nothing.
      if (document.activeElement !== node) return;
      event.preventDefault();
      const way = event.deltaY + event.deltaX < 0 ? 1 : -1;
      this.move(this.place + way * stride(this.row) * (event.shiftKey && !discrete(this.row) ? FINE : 1));
    }, { passive: false });
    node.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const one = stride(this.row) * (event.shiftKey && !discrete(this.row) ? FINE : 1);
      const big = Math.max(one, 0.1);
      const to = {
        ArrowRight: this.place + one, ArrowUp: this.place + one, ArrowLeft: this.place - one,
        ArrowDown: this.place - one, PageUp: this.place + big, PageDown: this.place - big, Home: 0, End: 1,
      }[event.key];
      if (to !== undefined) this.move(to);
      else if (event.key === "Delete" || event.key === "Backspace") this.home();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }
}

export class Held extends Control {
  // A button that is on while any finger or key is on it. onHold(true | false).
  constructor(node, onHold) {
    super();
    this.node = node; this.onHold = onHold;
    this.fingers = new Set();
    this.release = () => { this.fingers.clear(); this.#be(false); };
    node.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      node.setPointerCapture(event.pointerId);
      this.down(event.pointerId);
    });
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
      node.addEventListener(kind, (event) => this.up(event.pointerId));
    }
    const keys = [" ", "Enter"];
    node.addEventListener("keydown", (event) => {
      if (!keys.includes(event.key) || !node.matches(":focus-visible")) return;
      event.preventDefault();
      event.stopPropagation();
      if (!event.repeat) this.down(`key ${event.key}`);
    });
    node.addEventListener("keyup", (event) => { if (keys.includes(event.key)) this.up(`key ${event.key}`); });
    node.addEventListener("blur", () => { for (const key of keys) this.up(`key ${key}`); });
  }

  down(finger) { this.fingers.add(finger); this.#be(true); }
  up(finger) { if (this.fingers.delete(finger) && !this.fingers.size) this.#be(false); }

  #be(on) {
    if (on === this.busy) return;
    this.busy = on;
    if (on) held.add(this.release); else held.delete(this.release);
    this.touched();
    this.onHold(on);
  }
}

export class Switch extends Control {
  // onFlip(on); asks for what it did not show, so that two presses in a row never undo each other.
  constructor(node, onFlip) {
    super();
    this.node = node; this.on = false;
    node.addEventListener("click", () => { this.flip(); });
    this.onFlip = onFlip;
  }

  flip() {
    // What could not be sent is not shown: a BLACKOUT that only this page believes in would be worse than none.
    if (this.onFlip(!this.on) === false) return;
    this.#draw(!this.on);
    this.touched();
  }

  show(on) { if (!this.mine) this.#draw(on); }

  #draw(on) {
    this.on = on;
    mark(this.node, this.node.getAttribute("role") === "switch" ? "aria-checked" : "aria-pressed", on);
  }
}

export class Choice extends Control {
  // Segmented buttons. onPick(index).
  constructor(label, choices, onPick) {
    super();
    this.index = -1;
    this.buttons = choices.map((text, i) => {
      const button = el("button", { type: "button", role: "radio", "aria-checked": "false", tabindex: "-1", text });
      button.addEventListener("click", () => this.#pick(i));
      return button;
    });
    this.onPick = onPick;
    this.node = el("div", { class: "choice", role: "radiogroup", "aria-label": label }, ...this.buttons);
    this.node.addEventListener("keydown", (event) => {
      const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!way || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.#pick((Math.max(0, this.index) + way + choices.length) % choices.length);
      this.buttons[this.index].focus();
    });
    this.show(0);
  }

  #pick(index) {
    this.#draw(index);
    this.touched();
    this.onPick(index);
  }

  show(index) { if (!this.mine) this.#draw(index); }

  #draw(index) {
    if (index === this.index) return;
    this.index = index;
    this.buttons.forEach((button, i) => {
      mark(button, "aria-checked", i === index);
      button.tabIndex = i === index ? 0 : -1;
    });
  }
}
