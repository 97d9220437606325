// A sound for a new red, off until somebody asks for it: two soft tones, made here, so that no file is loaded.

import { remember, remembered } from "./state.js";

let context = null;

export const soundIsOn = () => remembered("sound", "off") === "on";

/** On or off; on is heard at once, so that nobody has to wonder whether it works. */
export function switchSound() {
  remember("sound", soundIsOn() ? "off" : "on");
  if (soundIsOn()) chime();
}

/** Two tones, a fifth apart, twice. Silent where the browser does not allow it before a first touch. */
export function chime() {
  if (!soundIsOn()) return;
  context ??= new AudioContext();
  context.resume().catch(() => {});
  const start = context.currentTime + 0.05;
  [[660, 0], [990, 0.18], [660, 0.6], [990, 0.78]].forEach(([pitch, at]) => {
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0, start + at);
    volume.gain.linearRampToValueAtTime(0.16, start + at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.001, start + at + 0.34);
    tone.connect(volume).connect(context.destination);
    tone.start(start + at);
    tone.stop(start + at + 0.36);
  });
}
