// The top bar's beat: the bar runs on between two states, so that its light is on the beat and not on the network.

import { press } from "./controls.js";
import { mark, write } from "./units.js";

// What a room sees: a frame in twelve missing is a warning, one in four is a show in trouble.
function pace({ fps, target_fps: wanted }) {
  if (fps === 0 || fps >= wanted * 11 / 12) return "ok";
  return fps >= wanted * 3 / 4 ? "warn" : "error";
}

export class Tempo {
  constructor(line) {
    this.line = line;
    this.lights = [...document.querySelectorAll("#beats i")];
    this.bpm = document.getElementById("bpm");
    this.fps = document.getElementById("fps");
    this.lit = -1;
    const tap = document.getElementById("tap");
    press(tap, () => {
      this.send("tap");
      tap.classList.remove("hit");
      requestAnimationFrame(() => tap.classList.add("hit"));
    });
    for (const button of document.querySelectorAll("[data-tempo]")) press(button, () => this.send(button.dataset.tempo));
    for (const button of document.querySelectorAll("[data-nudge]")) {
      press(button, () => this.nudge(Number(button.dataset.nudge)));
    }
    const run = () => { this.#light(); requestAnimationFrame(run); };
    requestAnimationFrame(run);
  }

  send(name) { this.line.send({ kind: "tempo", function: name }); }
  nudge(ms) { this.line.send({ kind: "tempo", function: "nudge", ms }); }

  show(state) {
    write(this.bpm, state.beat_running && state.tempo > 0 ? state.tempo.toFixed(1) : "–");
    write(this.fps, state.engine.fps > 0 ? state.engine.fps.toFixed(0) : "–");
    mark(this.fps, "data-level", pace(state.engine));
  }

  #light() {
    const { state, stated, condition } = this.line;
    let beat = -1;
    if (state && state.beat_running && condition === "good") {
      const since = (performance.now() - stated) / 1000;
      const phase = (state.bar_phase + since * state.tempo / 240) % 1;
      beat = Math.min(3, Math.floor(phase * 4));
    }
    if (beat === this.lit) return;
    this.lights.forEach((light, i) => light.classList.toggle("on", i === beat));
    this.lit = beat;
  }
}
