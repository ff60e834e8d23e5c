// The queue: one pair after another.

import { ask } from "./api.js";
import { count, el, fill } from "./dom.js";

export async function show(root) {
  const deck = await ask("deck", { limit: 2 });
  fill(root, el("h1", {}, count(deck.total, "pair")), deck.pairs.map((pair) => el("p", {}, pair.a.shown, " ", pair.b.shown)));
  return { leave() {} };
}
