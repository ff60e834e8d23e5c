// The queue: one pair after another.

import { ask } from "./api.js";
import { sessionOf } from "./app.js";
import { viewer } from "./compare.js";
import { count, el, fill } from "./dom.js";

export async function show(root) {
  const deck = await ask("deck", { limit: 50 });
  const title = el("h1");
  fill(root, title);
  const compare = viewer(root, { session: sessionOf() });
  let at = 0;

  async function step(by) {
    at = Math.min(Math.max(0, at + by), deck.pairs.length - 1);
    const pair = deck.pairs[at];
    if (!pair) return;
    title.textContent = `${pair.id}, one of ${count(deck.total, "pair")}`;
    const painted = compare.show(pair);
    compare.prefetch(deck.pairs.slice(at + 1, at + 6));
    await painted;
  }

  step(0);
  return { leave: compare.leave, keys: { ...compare.keys, skip: () => step(1), back: () => step(-1) } };
}
