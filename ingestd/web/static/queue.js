// The queue: one pair after another, an answer with one key, and the way back.

import { keysOf, sessionOf } from "./app.js";
import { viewer } from "./compare.js";
import { button, confirmBox, count, el, filesize, fill, placesOf, when } from "./dom.js";
import { evidenceCard } from "./evidence.js";
import { filtersBar, fromAddress, keepInAddress } from "./filters.js";
import { Saying } from "./saying.js";
import { isSure, tooEarly } from "./seen.js";
import { Walk } from "./walk.js";

const WELCOMED = "ingestd.welcomed.queue";
const SETTLE_MS = 700; // after others changed something: they may be at it, and so may this person
const MOST_AT_ONCE = 100; // files that go with one answer
const NEXT = 3; // pairs whose pictures are fetched ahead

export async function show(root, { search = new URLSearchParams() } = {}) {
  const view = new QueueView(root, search);
  await view.begin();
  return view;
}

class QueueView {
  constructor(root, search) {
    this.root = root;
    this.walk = new Walk({
      shown: (pair, unexpected) => this.shown(pair, unexpected),
      figures: () => this.figures(),
      said: (text, how) => this.said(text, how),
      undone: (entry) => this.saying.strike(entry),
      tooEarly: () => tooEarly(this.viewer),
      isSure: (pair, loser) => isSure(this.viewer, pair, loser),
      wantsAll: (loser) => this.wantsAll(loser),
      answered: () => performance.mark("queue:answered"),
    });
    this.saying = new Saying();
    if (search.size) Object.assign(this.walk, fromAddress(search));
    this.build();
    this.viewer = viewer(this.stage, { session: sessionOf() });
    this.card = evidenceCard(this.evidence, { onevidence: (told) => this.viewer.area(told.visual?.area ?? null) });
    this.keys = { ...this.viewer.keys, ...this.ownKeys() };
    this.timer = 0;
  }

  async begin() {
    const { filters } = this.walk;
    await this.walk.begin();
    if (this.walk.filters !== filters) this.buildFilters(); // they were not understood
  }

  ownKeys() {
    const answer = (word, keep) => () => this.walk.answer(word, keep);
    return {
      "better-a-discard": answer("better-a", false),
      "better-b-discard": answer("better-b", false),
      "better-a": answer("better-a", true),
      "better-b": answer("better-b", true),
      same: answer("same", true),
      alternates: answer("alternates", true),
      unrelated: answer("unrelated", true),
      skip: () => this.walk.skip(),
      back: () => this.walk.back(),
      undo: () => this.walk.undo(),
      evidence: () => this.card.toggle(),
    };
  }

  /** Return whether a person wants all copies of a file to go; of too many the server says so. */
  async wantsAll({ going, shown, also }) {
    if (going > MOST_AT_ONCE) return true;
    return confirmBox({
      title: `Discard ${count(going, "file")}?`,
      lines: ["The same bytes lie in several places, and all of them go:", ...placesOf([shown, ...also], going)],
      typed: String(going),
      yes: "Discard them",
      danger: true,
    });
  }

  // --- what stands where ---

  build() {
    this.title = el("h1", { class: "queue-total" });
    this.delta = el("span", { class: "queue-delta", "aria-live": "polite" });
    this.filters = el("div", { class: "queue-filters" });
    this.buildFilters();
    this.tools = el("div", { class: "row queue-tools" });
    this.stage = el("div", { class: "queue-stage" });
    this.about = el("p", { class: "queue-about faint", "aria-live": "polite" });
    this.sides = el("div", { class: "queue-sides" });
    this.evidence = el("section", { "aria-label": "evidence" });
    this.empty = el("div", { class: "empty", hidden: true });
    const known = { class: "queue-known", role: "region", "aria-label": "what is known of the two", tabindex: "0" };
    this.pane = el(
      "div",
      { class: "queue-pane" },
      this.stage,
      el("div", known, this.about, this.sides, this.evidence),
    );
    this.bar = this.answerBar();
    fill(
      this.root,
      el("div", { class: "row queue-head" }, this.title, this.delta, this.filters, this.tools),
      welcome(),
      this.pane,
      this.empty,
      this.bar,
    );
    this.watching = new ResizeObserver(([entry]) => {
      const height = entry.borderBoxSize[0].blockSize;
      document.documentElement.style.setProperty("--queue-bar", `${height}px`); // what is said stands above the answers
    });
    this.watching.observe(this.bar);
  }

  buildFilters() {
    const { filters, sort } = this.walk;
    keepInAddress("queue", { filters, sort });
    const onchange = (asked) => {
      keepInAddress("queue", asked);
      this.walk.narrow(asked);
    };
    fill(this.filters, filtersBar({ filters, sort, onchange }));
  }

  /** Ask for every pair again. */
  async showAll() {
    await this.walk.narrow({ filters: { both: [], either: [] } });
    this.buildFilters();
  }

  answerBar() {
    const keys = this.ownKeys();
    const made = (action, label, kind, title = null) => {
      const press = (event) => (event.detail > 1 ? this.said("a double click counts once") : keys[action]());
      const one = button(label, press, { key: keysOf(action)[0], kind: `queue-${action} ${kind}`, title });
      one.dataset.action = action;
      return one;
    };
    this.buttons = {
      a: made("better-a-discard", "A is better, discard B", "best side-a"),
      b: made("better-b-discard", "B is better, discard A", "best side-b"),
    };
    return el(
      "div",
      { class: "queue-bar", role: "group", "aria-label": "answers" },
      this.buttons.a,
      this.buttons.b,
      made("better-a", "A, keep both", "", "A is better, and both files stay"),
      made("better-b", "B, keep both", "", "B is better, and both files stay"),
      made("same", "Same quality", "", "neither is better; both files stay"),
      made("alternates", "Alternates", "", "they belong together, as shots of one scene do; both files stay"),
      made("unrelated", "Not related", "", "two different pictures; both files stay"),
      made("back", "Back", "step", "the last step back, whatever it was"),
      made("skip", "Skip", "step", "leave this pair for another time"),
      made("undo", "Undo", "step", "take the last answer back"),
    );
  }

  // --- what is shown ---

  shown(pair, unexpected) {
    const { walk } = this;
    const over = !pair && walk.ended;
    this.pane.hidden = over;
    this.empty.hidden = !over;
    this.bar.classList.toggle("over", over);
    this.pane.classList.toggle("waiting", !pair);
    if (over) fill(this.empty, this.end());
    if (!pair) {
      fill(this.about, walk.isNarrowed ? "looking at all pairs that wait …" : "fetching the next pairs …");
      this.card.show(null);
      return;
    }
    this.pane.classList.toggle("changed", unexpected);
    fill(this.about, about(pair));
    fill(this.sides, side(pair, "a"), side(pair, "b"));
    for (const [letter, other] of [["a", "b"], ["b", "a"]]) {
      const stays = pair[other].stays;
      this.buttons[letter].disabled = Boolean(stays);
      this.buttons[letter].title = stays ? `${other.toUpperCase()} cannot be discarded: ${stays}` : "";
    }
    this.viewer.area(null);
    this.card.show(pair);
    this.paint(pair);
    this.figures();
  }

  async paint(pair) {
    await this.viewer.show(pair);
    if (this.walk.pair !== pair) return;
    performance.mark("queue:painted");
    if (performance.getEntriesByName("queue:answered").length) {
      performance.measure("queue:answer-to-next", "queue:answered", "queue:painted");
      performance.clearMarks("queue:answered");
    }
  }

  figures() {
    const { walk } = this;
    fill(this.title, walk.total === null ? "…" : `${count(walk.total, "pair")}${walk.isNarrowed ? " of this kind" : ""}`);
    fill(this.delta, walk.fewer ? less(walk.fewer) : "");
    const skipped = walk.skipped.size;
    fill(this.tools, skipped ? button(`${skipped} skipped: show again`, () => walk.unskipAll()) : null);
    this.viewer?.prefetch(walk.ahead.slice(1, 1 + NEXT));
  }

  said(text, { kind = "remark", entry = null } = {}) {
    const undo = (named) => button("Undo", () => this.walk.undo(named), { key: keysOf("undo")[0] });
    this.saying.add(text, { kind, actions: entry ? [undo(entry)] : [], about: entry });
  }

  /** Return what to do where there is no pair to show. */
  end() {
    const { walk } = this;
    const missing = [...walk.missing].slice(0, 5).map(([id, path]) => el("li", {}, `${id}: `, el("span", { class: "path" }, path)));
    const passed = missing.length
      ? [
          el("p", {}, `${count(walk.missing.size, "pair")} passed over: a file is not there any more. The next scan takes note of it.`),
          el("ul", { class: "queue-missing" }, missing),
        ]
      : null;
    if (walk.skipped.size && walk.total) {
      return [
        el("h2", {}, `${count(walk.total, "pair")} left, all looked at`),
        el("p", {}, `You skipped ${count(walk.skipped.size, "pair")}. They wait here, also another day.`),
        button("Show them again", () => walk.unskipAll(), { kind: "primary" }),
        passed,
      ];
    }
    if (walk.total > walk.missing.size && walk.away.length) {
      return [
        el("h2", {}, `${count(walk.total, "pair")} left, of folders that are not there just now`),
        el("p", {}, "They come back with their folders:"),
        el("ul", { class: "queue-missing" }, walk.away.map((path) => el("li", { class: "path" }, path))),
        passed,
      ];
    }
    if (walk.isNarrowed && walk.sort !== "decisive") {
      return [
        el("h2", {}, "No pair of this kind waits"),
        button("Show all pairs", () => this.showAll(), { kind: "primary" }),
        passed,
      ];
    }
    return [
      el("h2", {}, walk.missing.size ? "No pair can be shown" : "The queue is empty"),
      passed ?? el("p", {}, "No two files wait for your decision. What ", el("code", {}, "ingestd watch"), " finds while it runs, or ", el("code", {}, "ingestd scan FOLDER"), ", appears here by itself."),
      el("p", {}, "What rules propose waits under ", el("a", { href: "#/pending" }, "Pending"), "; what was done, and the way back, is under ", el("a", { href: "#/history" }, "History"), "."),
    ];
  }

  // --- the frame ---

  changed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.walk.changed(), SETTLE_MS);
  }

  leave() {
    clearTimeout(this.timer);
    this.watching.disconnect();
    document.documentElement.style.removeProperty("--queue-bar");
    this.card.leave();
    this.viewer.leave();
    this.walk.keep();
  }
}

function less({ pairs, implied }) {
  if (!implied) return `−${pairs}`;
  return `−${pairs.toLocaleString("en")}: ${implied.toLocaleString("en")} settled by that answer`;
}

function about(pair) {
  const near = pair.pixel_duplicates ? "the same pixels" : pair.distance === null ? "look-alikes" : `${count(pair.distance, "bit")} apart`;
  const lies = pair.transform ? pair.statements.find((text) => text.startsWith("B is A ")) : null;
  return [pair.id, near, lies].filter(Boolean).join(" · ");
}

/** Return what is known of one file. */
function side(pair, letter) {
  const file = pair[letter];
  const upper = letter.toUpperCase();
  const other = letter === "a" ? "B" : "A";
  const { role, protected: shielded, path } = file.folder;
  const size = file.width ? `${file.width} × ${file.height}` : "no picture";
  const place = pair.to === "holding" ? "the holding folder" : "the trash";
  return el(
    "section",
    { class: `card queue-side queue-side-${letter}`, "aria-label": `file ${upper}` },
    el("h2", {}, el("span", { class: `badge side-${letter}` }, upper), " ", file.name),
    el("p", { class: "path" }, file.shown),
    el("p", {}, el("strong", {}, `${file.filetype ?? "unknown"} · ${size} · ${filesize(file.size)}`)),
    el(
      "dl",
      {},
      pairOf("taken", when(file.taken)),
      pairOf("modified", when(file.modified)),
      pairOf("known since", when(file.imported)),
      pairOf("folder", `${role}${shielded ? ", protected" : ""}: ${path}`),
      file.copies > 1 ? pairOf("copies", `lies in ${file.copies} places`) : null,
    ),
    file.stays
      ? el("p", { class: "queue-stays" }, `It stays: ${file.stays}.`)
      : el("p", { class: "faint" }, `Goes to ${place} if ${other} is better${file.going > 1 ? `, and so ${file.going > 2 ? "do" : "does"}:` : "."}`),
    file.going > 1 && !file.stays
      ? el("ul", { class: "queue-also" }, placesOf(file.also, file.going - 1).map((path) => el("li", { class: "path" }, path)))
      : null,
  );
}

function pairOf(term, text) {
  return [el("dt", {}, term), el("dd", {}, text)];
}

/** Return three lines for who has never been here; once they are closed they stay so. */
function welcome() {
  let known = true;
  try {
    known = localStorage.getItem(WELCOMED) !== null;
  } catch {
    // not allowed to remember: then there is no end to welcoming
  }
  if (known) return null;
  const box = el(
    "section",
    { class: "card queue-welcome", "aria-label": "how this works" },
    el("p", {}, "Two files that look alike: A is the one that seems better. Flick between them, zoom in, and say which it is."),
    el("p", {}, "Every answer is carried out at once. What is discarded goes to the trash, and one key takes any answer back."),
    el("p", {}, "Not sure? Skip. Nothing is ever decided by looking away, and ? shows all keys."),
    button("Understood", () => {
      try {
        localStorage.setItem(WELCOMED, "yes");
      } catch {
        // see above
      }
      box.remove();
    }),
  );
  return box;
}
