// The keyboard, as in the engine's own window. A control that has the focus keeps the keys it needs.

import { releaseAll } from "./controls.js";

const LEVEL_STEP = 0.05, NUDGE = 5; // ms

export function keyboard(line, { macros, emergency, tempo }) {
  const down = new Map();
  const look = (step) => line.send({ kind: "look", step });
  const trigger = (action) => line.send({ kind: "trigger", action });
  const shortcuts = {
    " ": () => tempo.send("tap"), Enter: () => tempo.send("resync"), "]": () => tempo.send("double"),
    "[": () => tempo.send("half"), ArrowRight: () => look(1), ArrowLeft: () => look(-1),
    ArrowDown: () => trigger("reseed"), ArrowUp: () => trigger("cut"), Backspace: () => trigger("clear"),
  };
  const nudges = { ",": -NUDGE, ".": NUDGE };

  const macroOf = (key) => {
    for (const macro of line.schema.macros) {
      const keys = macro.key.split(" ");
      const at = keys.indexOf(key);
      if (at >= 0 && (macro.kind === "level" || at === 0)) return [macro, at === 0 ? -LEVEL_STEP : LEVEL_STEP];
    }
    return null;
  };

  function act(macro, step, repeat) {
    if (macro.kind === "level") {
      const { fader } = macros.tiles.get(macro.name);
      fader.move(fader.place + step);
      return null;
    }
    if (repeat) return null;
    if (macro.name === "PANIC") { emergency.beginPanic(); return () => emergency.endPanic(); }
    if (macro.name === "BLACKOUT") { emergency.black.flip(); return null; }
    const { control } = macros.tiles.get(macro.name);
    if (macro.kind === "toggle") { control.flip(); return null; }
    control.down(`global ${macro.key}`);
    return () => control.up(`global ${macro.key}`);
  }

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const { target } = event;
    if (target.closest?.("input, textarea, select")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    // Enter and Space are a button's own once it was reached by keyboard; after a click they are the show's.
    const focused = target.matches?.("button, [role=slider], [role=radio]") && target.matches(":focus-visible");
    if (focused && [" ", "Enter"].includes(event.key) && target.matches("button")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.key in nudges) tempo.nudge(nudges[event.key]);
    else if (event.key in shortcuts) { if (!event.repeat) shortcuts[event.key](); }
    else {
      const found = macroOf(key);
      if (!found || down.has(event.code) && !event.repeat) return;
      const release = act(...found, event.repeat);
      if (release) down.set(event.code, release);
    }
    event.preventDefault();
  });
  addEventListener("keyup", (event) => {
    down.get(event.code)?.();
    down.delete(event.code);
  });
  const all = () => { for (const release of down.values()) release(); down.clear(); releaseAll(); };
  addEventListener("blur", all);
  // Typing into a field takes the keys away from the show: nothing may stay held.
  addEventListener("focusin", (event) => { if (event.target.closest("input")) all(); });
}
