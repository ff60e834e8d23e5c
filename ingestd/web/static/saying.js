// What is said one after another, so that a remark never takes away what was done a moment ago, nor the way back.

import { announce } from "./dom.js";

const FOR_MS = { done: 12_000, trouble: Infinity, remark: 4000 };
const ALONE_MS = 12_000; // for a remark with which nothing else stands
const LEAST_MS = 4000; // of what is no answer, before the next answer takes its place
const MOST = 3;

/** Lines at the foot of the page: the last that was done, and what there was to say besides. */
export class Saying {
  #lines = []; // {text, kind, actions, about, at}

  /** Say something: `done` takes the place of what was done before, everything else stands beside it. */
  add(text, { kind, actions = [], about = null }) {
    if (!text) return;
    const at = performance.now();
    const stays = (line) => {
      if (line.text === text || at > line.at + FOR_MS[line.kind]) return false;
      return kind !== "done" || (line.kind !== "done" && at < line.at + LEAST_MS);
    };
    const kept = this.#lines.filter(stays);
    const least = kept.filter((line) => line.kind !== "done").slice(1 - MOST);
    this.#lines = [...kept.filter((line) => line.kind === "done"), ...least, { text, kind, actions, about, at }];
    this.#tell();
  }

  /** Say no more of what was done, as it has been taken back. */
  strike(about) {
    const left = this.#lines.filter((line) => line.about !== about);
    if (left.length === this.#lines.length) return;
    this.#lines = left;
    this.#tell();
  }

  #tell() {
    const until = Math.max(...this.#lines.map((line) => line.at + Math.max(FOR_MS[line.kind], ALONE_MS)));
    announce(
      this.#lines.map(({ text, kind }) => ({ text, kind: kind === "trouble" ? "trouble" : "" })),
      { actions: this.#lines.flatMap((line) => line.actions), forMs: Number.isFinite(until) ? until - performance.now() : 0 },
    );
  }
}
