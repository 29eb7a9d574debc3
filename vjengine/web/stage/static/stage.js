// The performer's page: one line to the show, and everything that shows and moves it.

import { releaseAll } from "./controls.js";
import { Crowd } from "./crowd.js";
import { Faders, Learn } from "./faders.js";
import { keyboard } from "./keys.js";
import { Line } from "./line.js";
import { Live, Looks, Picture } from "./live.js";
import { Emergency, Macros } from "./macros.js";
import { Tempo } from "./tempo.js";
import { mark, write } from "./units.js";

const line = new Line("/stage/ws");
const find = (id) => document.getElementById(id);

const toast = find("toast");
let toasting = 0;
function say(words) {
  write(toast, words);
  toast.classList.add("shown");
  clearTimeout(toasting);
  toasting = setTimeout(() => toast.classList.remove("shown"), 2500);
}

const macros = new Macros(line, find("macro-list"));
const emergency = new Emergency(line, say);
const tempo = new Tempo(line);
const faders = new Faders(line);
const learn = new Learn(line);
const looks = new Looks(line);
const live = new Live(line);
const crowd = new Crowd(line);
new Picture("/stage/preview");
keyboard(line, { macros, emergency, tempo });

// At most once a frame, and once more when a finger's grace has ended.
let due = 0, settle = 0;
function draw() {
  due = 0;
  const { state } = line;
  if (!state) return;
  tempo.show(state);
  emergency.show(state);
  macros.show(state.macros);
  faders.show(state.params);
  looks.show(state);
  live.show(state);
  crowd.show(state);
  learn.show(state.status);
  document.body.dataset.ready = "true";
}
const soon = () => { due ||= requestAnimationFrame(draw); };
line.addEventListener("state", soon);
addEventListener("pointerup", () => { clearTimeout(settle); settle = setTimeout(soon, 300); });
addEventListener("keyup", () => { clearTimeout(settle); settle = setTimeout(soon, 300); });
line.addEventListener("wrong", (event) => say(`The show did not take that: ${event.detail}`));

const conditions = {
  opening: ["connecting", ""],
  good: ["connected", ""],
  stale: ["the show stands still", "The show stands still: this page is connected, but nothing new comes"],
  silent: ["no word from the show", "No word from the show…"],
  lost: ["connection lost", "Connection lost: nothing here acts. Trying again…"],
};
line.addEventListener("line", (event) => {
  const [label, words] = conditions[event.detail];
  document.body.dataset.line = event.detail;
  mark(find("dot"), "aria-label", label);
  find("line").hidden = !words;
  write(find("line"), words);
  if (event.detail === "lost") releaseAll();
});

const choose = (tab) => {
  document.body.dataset.tab = tab;
  for (const button of document.querySelectorAll("#tabs button")) mark(button, "aria-pressed", button.dataset.tab === tab);
};
for (const button of document.querySelectorAll("#tabs button")) button.addEventListener("click", () => choose(button.dataset.tab));
choose("macros");

// A long press is a held macro, not a menu.
addEventListener("contextmenu", (event) => { if (!event.target.closest("input")) event.preventDefault(); });

// The screen stays on; browsers grant this to pages of https and of this machine only.
let awake = null;
async function wake() {
  if (document.hidden || awake || !navigator.wakeLock) return;
  try {
    awake = await navigator.wakeLock.request("screen");
    awake.addEventListener("release", () => { awake = null; });
  } catch { /* low battery: the performer's own setting wins */ }
}
document.addEventListener("visibilitychange", wake);
addEventListener("pointerdown", wake);
wake();
