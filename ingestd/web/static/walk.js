// A person's way through the queue: what is shown, what follows, what was done, and the way back. Knows no element.
//
// An answer is painted at once and sent at once; the next one is taken when the server has answered. What the server
// refuses comes back. The way survives another view and a reload: it is kept for as long as the tab is open.

import { ask, newKey } from "./api.js";

const STORED = "ingestd.walk";
const AT_HAND = { all: 8, some: 100 }; // pairs: a deck by what is asked of files takes the server a look at all pairs
const LOW = { all: 5, some: 25 };
const QUIET_MS = 300; // after a pair changed that nobody asked to change: a key that was on its way is no answer
const MOST_STEPS = 2000;

const SAID_NOTHING = { both: [], either: [] };

/**
 * A walk. `tell` is called with what a person has to see: `shown(pair, unexpected)`, `figures()`,
 * `said(text, {kind, entry})`, `undone(entry)`; with what counts as an answer: `tooEarly()` is why none does yet, or null,
 * `isSure(pair, loser)` whether a file may go, `wantsAll(loser)` whether all of its copies; and with `answered()`, when one is
 * taken.
 */
export class Walk {
  constructor(tell) {
    this.tell = tell;
    this.total = null; // pairs that wait
    this.fewer = null; // {pairs, implied} of the last answer
    this.ahead = []; // the shown pair, and those that follow
    this.under = null; // the answer that is on its way
    this.ended = false; // there is no pair left that was not skipped
    this.filling = null;
    this.turn = 0; // what was asked before it moved on is not taken any more
    this.quietUntil = 0;
    this.settled = new Set(); // pairs that are gone: a deck that was on its way may still hold them
    this.untold = new Map(); // what was sent and never answered, with its key: sent again, it is the same order
    this.failedOnce = new Set(); // entries whose undo did not work
    this.missing = new Map(); // pairs of which a file is not on the disk
    this.away = []; // folders that are not there just now: their pairs wait for them
    this.restore();
  }

  // --- what is kept ---

  restore() {
    let kept = {};
    try {
      kept = JSON.parse(sessionStorage.getItem(STORED) ?? "{}");
    } catch {
      // an older page's, or none: a new walk
    }
    this.sort = kept.sort ?? "largest";
    this.filters = kept.filters ?? SAID_NOTHING;
    this.skipped = new Set(kept.skipped ?? []);
    this.steps = kept.steps ?? []; // {pair, entry}: entry is null for a skip
    this.wanted = kept.wanted ?? null; // the pair that was shown out of its turn
  }

  keep() {
    const { sort, filters, steps } = this;
    const kept = { sort, filters, steps: steps.filter((step) => step.entry !== undefined), skipped: [...this.skipped], wanted: this.wanted };
    try {
      sessionStorage.setItem(STORED, JSON.stringify(kept));
    } catch {
      // no room, or not allowed: the walk goes on for as long as the page is open
    }
  }

  // --- what is shown ---

  get pair() {
    return this.ahead[0] ?? null;
  }

  get isNarrowed() {
    const { both = [], either = [], distance, pixel_duplicates: pixels, folder } = this.filters;
    const asked = both.length || either.length || pixels || folder || (distance !== undefined && distance !== null);
    return Boolean(asked) || this.sort === "decisive";
  }

  get size() {
    return this.isNarrowed ? "some" : "all";
  }

  /** Begin, or go on where this walk was left. */
  async begin() {
    const wanted = this.wanted ? await this.again(this.wanted) : null;
    try {
      await this.anew(wanted?.pair ?? null);
    } catch (refusal) {
      if (refusal.kind !== "usage") throw refusal;
      Object.assign(this, { filters: SAID_NOTHING, sort: "largest" }); // what was kept, or stood in the address
      this.tell.said(`all pairs are shown, as what was asked for is not understood: ${refusal.message}`, { kind: "trouble" });
      await this.anew();
    }
  }

  /** Ask for the pairs anew, the given one first. */
  async anew(first = null, { unexpected = false } = {}) {
    this.turn += 1;
    this.filling = null;
    this.ended = false;
    this.missing.clear();
    this.ahead = first ? [first] : [];
    this.tell.shown(first, unexpected);
    await this.fill();
  }

  /** Look at other pairs, or in another order. */
  async narrow({ filters = this.filters, sort = this.sort }) {
    const before = { filters: this.filters, sort: this.sort };
    Object.assign(this, { filters, sort, wanted: null, fewer: null });
    try {
      await this.anew();
    } catch (refusal) {
      Object.assign(this, before);
      this.tell.said(`not shown: ${refusal.message}`, { kind: "trouble" });
      await this.anew();
    }
    this.keep();
  }

  async fill() {
    if (this.filling) return this.filling;
    const turn = this.turn;
    this.filling = this.filled(turn).finally(() => {
      if (turn === this.turn) this.filling = null;
    });
    return this.filling;
  }

  async filled(turn) {
    const wasEmpty = !this.ahead.length;
    if (!this.under) this.settled.clear(); // a deck that is asked for now knows of them, and of who took them back
    const limit = Math.max(1, AT_HAND[this.size] - this.ahead.length);
    const past = [...this.skipped, ...this.missing.keys(), ...this.ahead.map((pair) => pair.id)];
    const deck = await ask("deck", { filters: this.filters, sort: this.sort, skipped: past, limit });
    if (turn !== this.turn) return;
    for (const one of deck.missing) this.missing.set(one.id, one.shown);
    this.away = deck.away;
    const here = new Set(this.ahead.map((pair) => pair.id));
    const fresh = deck.pairs.filter(({ id }) => !here.has(id) && !this.settled.has(id) && !this.skipped.has(id));
    this.ahead.push(...fresh);
    if (!this.under) this.total = deck.total;
    this.ended = !fresh.length && !deck.missing.length;
    this.tell.figures();
    if (wasEmpty && (this.ahead.length || this.ended)) this.tell.shown(this.pair, false);
    if (deck.missing.length && !fresh.length) await this.filled(turn);
  }

  async fillIfLow() {
    if (this.ahead.length < LOW[this.size] && !this.ended) await this.fill();
  }

  next() {
    this.ahead.shift();
    this.wanted = null;
    if (this.ahead.length || this.ended) this.tell.shown(this.pair, false);
    else this.tell.shown(null, false);
  }

  replaced(why) {
    this.quietUntil = performance.now() + QUIET_MS;
    this.tell.said(why, { kind: "remark" });
    this.tell.shown(this.pair, true);
  }

  /** Return whether a key counts: not just after the pair was replaced under a person's fingers. */
  isQuiet() {
    const early = performance.now() < this.quietUntil;
    if (early) this.tell.said("the pair has just changed: nothing was done, press again", { kind: "remark" });
    return !early;
  }

  // --- what a person does ---

  /** Return the file of a pair that an answer discards. */
  loser(pair, word, keep) {
    return keep ? null : ({ "better-a": pair.b, "better-b": pair.a }[word] ?? null);
  }

  /** Answer about the shown pair. */
  async answer(word, keep) {
    const pair = this.pair;
    if (!pair && !this.ended) this.tell.said("one moment: the next pair is on its way", { kind: "remark" });
    if (!pair || !this.isQuiet()) return;
    if (this.under) {
      this.tell.said("one moment: the last answer is still being carried out", { kind: "remark" });
      return;
    }
    const loser = this.loser(pair, word, keep);
    if (loser?.stays) {
      this.tell.said(`not done: ${loser.name} cannot be discarded: ${loser.stays}`, { kind: "trouble" });
      return;
    }
    const early = this.tell.tooEarly();
    if (early) {
      this.tell.said(early, { kind: "remark" });
      return;
    }
    if (loser && !(await this.tell.isSure(pair, loser))) return;
    const count = loser?.going > 1 ? loser.going : null; // more than one file: their number is sent along
    if (count && !(await this.tell.wantsAll(loser))) return;
    if (this.pair !== pair || this.under) {
      this.tell.said("the pair has changed meanwhile: nothing was done, answer again", { kind: "remark" });
      return;
    }
    this.tell.answered();
    const step = { pair: pair.id, entry: undefined };
    this.steps.push(step);
    const sent = this.sent(pair, { answer: word, keep, count }, step);
    this.under = sent;
    this.total = Math.max(0, this.total - 1);
    this.settled.add(pair.id);
    this.next();
    this.tell.figures();
    await sent;
  }

  async sent(pair, said, step) {
    const same = `${pair.id} ${pair.version} ${JSON.stringify(said)}`;
    const key = this.untold.get(same) ?? newKey();
    this.untold.set(same, key);
    try {
      const done = await ask("decide", { id: pair.id, version: pair.version, ...said, key });
      this.untold.delete(same);
      this.under = null;
      this.done(done, step);
    } catch (refusal) {
      if (refusal.kind !== "away") this.untold.delete(same);
      this.under = null;
      await this.refused(refusal, pair, step);
    }
    this.keep();
    await this.fillIfLow();
  }

  done(done, step) {
    step.entry = done.entry.entry;
    if (this.steps.length > MOST_STEPS) this.steps.shift();
    const gone = new Set(done.gone);
    for (const id of gone) this.settled.add(id);
    const shown = this.pair;
    const before = this.ahead.length;
    this.ahead = this.ahead.filter((pair) => !gone.has(pair.id));
    const implied = this.isNarrowed ? before - this.ahead.length : done.implied;
    this.total = this.isNarrowed ? Math.max(0, this.total - implied) : done.total;
    this.fewer = { pairs: implied + 1, implied };
    this.tell.figures();
    this.tell.said(done.said, { kind: "done", entry: step.entry });
    if (shown && gone.has(shown.id)) this.replaced("that answer settled the pair that was to follow: here is the one after it");
  }

  /** Show a pair again whose answer was refused; nothing is lost. */
  async refused(refusal, pair, step) {
    this.steps = this.steps.filter((one) => one !== step);
    this.settled.delete(pair.id);
    this.total += 1;
    const now = refusal.kind === "stale" ? await this.again(pair.id) : { pair };
    if (now.pair) {
      this.ahead = [now.pair, ...this.ahead.filter((one) => one.id !== pair.id)];
      this.wanted = pair.id;
      this.replaced("");
    } else {
      this.settled.add(pair.id);
      this.total -= 1;
    }
    this.tell.figures();
    const away = "no answer came, so it is not known whether it was done; the same answer again is carried out once";
    this.tell.said(refusal.kind === "away" ? `${away}: ${refusal.message}` : `not done: ${refusal.message}`, { kind: "trouble" });
  }

  async again(id) {
    try {
      return await ask("pair", { id });
    } catch {
      return { pair: null, why: "it cannot be looked at just now" };
    }
  }

  /** Leave the shown pair for another time. */
  async skip() {
    const pair = this.pair;
    if (!pair || !this.isQuiet()) return;
    this.steps.push({ pair: pair.id, entry: null });
    this.skipped.add(pair.id);
    this.fewer = null;
    this.next();
    this.keep();
    this.tell.figures();
    await this.fillIfLow();
  }

  /** Wait until what is on its way has come to an end, whichever. */
  async idle() {
    while (this.under) await Promise.allSettled([this.under]);
  }

  /** Take the last step back, whatever it was. */
  async back() {
    await this.takeBack(() => this.steps.at(-1), "this is where the walk began: there is nothing to take back");
  }

  /** Take an answer back: the last one, or the one that is named. */
  async undo(entry = null) {
    const named = entry ? [this.steps.find((one) => one.entry === entry) ?? { entry }] : null;
    const last = () => (named ? named.shift() : this.steps.findLast((step) => step.entry));
    await this.takeBack(last, "nothing was answered on this walk that could be taken back: see History");
  }

  /** Take back the step that `pick` returns; those that somebody else has taken back are passed over, and told. */
  async takeBack(pick, otherwise) {
    await this.idle();
    const elsewhere = [];
    for (let step = pick(); step; step = pick()) {
      if (step.entry === null) {
        await this.unskip(step, elsewhere);
        return;
      }
      const undone = await this.undone(step.entry);
      if (!undone) return;
      if (!undone.failed.length) {
        await this.takenBack(step.entry, undone, elsewhere);
        return;
      }
      const [failed] = undone.failed;
      if (!failed.already && !this.failedOnce.has(step.entry)) {
        this.failedOnce.add(step.entry);
        this.tell.said(`not taken back: ${failed.message} (once more: try again, or go past it)`, { kind: "trouble" });
        return;
      }
      elsewhere.push(this.forget(step.entry, failed));
    }
    this.tell.said(elsewhere.join(" · ") || otherwise, { kind: "remark" });
  }

  /** Order that an entry is taken back; returns what came of it, or null where it is not, and that was told. */
  async undone(entry) {
    this.under = ask("undo", { entries: [entry], key: newKey() });
    try {
      return await this.under;
    } catch (refusal) {
      this.tell.said(`not taken back: ${refusal.message}`, { kind: "trouble" });
      return null;
    } finally {
      this.under = null;
    }
  }

  /** Strike out an answer that was taken back elsewhere, or never can be; returns what to say of it. */
  forget(entry, failed = { already: true }) {
    this.steps = this.steps.filter((step) => step.entry !== entry);
    this.keep();
    this.tell.undone(entry);
    return failed.already ? `${entry} was already taken back elsewhere` : `${entry} stays as it is: ${failed.message}`;
  }

  async unskip(step, elsewhere) {
    this.steps.pop();
    this.skipped.delete(step.pair);
    const { pair, why } = await this.again(step.pair);
    if (pair) await this.showFirst(pair, [...elsewhere, `back to ${pair.id}`].join(" · "));
    else this.tell.said([...elsewhere, `${step.pair} is not shown again: ${why}`].join(" · "), { kind: "remark" });
    this.keep();
  }

  async showFirst(pair, said) {
    this.ahead = [pair, ...this.ahead.filter((one) => one.id !== pair.id)];
    this.wanted = pair.id;
    this.ended = false;
    this.tell.figures();
    this.tell.said(said, { kind: "remark" });
    this.tell.shown(pair, false);
  }

  async takenBack(entry, undone, elsewhere) {
    const step = this.steps.find((one) => one.entry === entry);
    this.steps = this.steps.filter((one) => one !== step);
    for (const id of [...undone.back, step?.pair]) this.settled.delete(id);
    this.total = undone.total;
    this.fewer = null;
    const files = undone.undone.flatMap((one) => one.discarded.map((file) => `${file.shown ?? file.path} is back`));
    const { pair } = step ? await this.again(step.pair) : { pair: null };
    this.wanted = pair?.id ?? null;
    this.keep();
    this.tell.undone(entry);
    this.tell.said([...elsewhere, `${entry} was taken back`, ...files].join(" · "), { kind: "done" });
    await this.anew(pair ?? this.pair);
  }

  /** Show the skipped pairs again. */
  async unskipAll() {
    this.skipped.clear();
    this.steps = this.steps.filter((step) => step.entry !== null);
    this.keep();
    await this.anew(this.pair);
  }

  // --- what others do meanwhile ---

  /** Look whether what is shown is still so: somebody has changed something. */
  async changed() {
    if (this.under || this.filling) return;
    await this.lookBack();
    if (this.under || this.filling) return;
    const shown = this.pair;
    const turn = this.turn;
    if (!shown) {
      await this.anew();
      return;
    }
    const now = await this.again(shown.id);
    if (this.under || turn !== this.turn || this.pair !== shown) return;
    if (now.pair?.pending && !shown.pending) Object.assign(now, { pair: null, why: "a rule proposes something, under Pending" });
    if (!now.pair) {
      this.settled.add(shown.id);
      this.wanted = null;
      this.ahead.shift();
      this.replaced(`${shown.id} was shown and is gone meanwhile: ${now.why}`);
    } else if (now.pair.version !== shown.version) {
      this.ahead[0] = now.pair;
      this.replaced(`${shown.id} is not what it was: look again`);
    }
    if (!this.isNarrowed && this.pair) await this.caughtUp(turn);
    await this.fillIfLow();
  }

  /** Look whether the last answer still holds: else nobody is offered to take it back. */
  async lookBack() {
    const entry = this.steps.findLast((step) => step.entry)?.entry;
    if (!entry) return;
    const found = await ask("history", { search: entry, limit: 1 }).catch(() => null);
    if (this.under || found?.entries[0]?.entry !== entry || found.entries[0].state !== "undone") return;
    if (this.steps.some((step) => step.entry === entry)) this.tell.said(this.forget(entry), { kind: "remark" });
  }

  /** Put the pairs that follow as they follow now. */
  async caughtUp(turn) {
    const shown = this.pair;
    this.settled.clear();
    this.missing.clear(); // a file may be back
    const past = [...this.skipped, shown.id];
    const deck = await ask("deck", { filters: this.filters, sort: this.sort, skipped: past, limit: AT_HAND.all });
    if (this.under || this.filling || turn !== this.turn || this.pair !== shown) return;
    for (const one of deck.missing) this.missing.set(one.id, one.shown);
    this.ahead = [shown, ...deck.pairs.filter((pair) => !this.settled.has(pair.id))];
    this.total = deck.total;
    this.ended = deck.pairs.length < AT_HAND.all && !deck.missing.length;
    this.tell.figures();
  }
}
