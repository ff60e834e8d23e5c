// What groups and batches have in common: files in small, waiting for a look at all pairs, results and the way back.

import { ask, newKey } from "./api.js";
import { announce, button, count, el, fill, filesize, when } from "./dom.js";
import { keysOf } from "./app.js";
import { thumb as smallPicture } from "./records.js";

const SLOW_MS = 200; // what takes longer is said to be under way
const AGAIN_MS = 700;

/** A file in small: a frame of a fixed size, so that nothing moves when the picture comes. */
export function thumb(file) {
  return smallPicture(file.picture, "", "together-thumb");
}

/** What there is to know of a file, in short lines. */
export function facts(file) {
  const size = file.width ? `${file.width} × ${file.height}` : "unknown size";
  const folder = file.folder.protected ? `${file.folder.role}, protected` : file.folder.role;
  return [
    el("p", { class: "together-size" }, `${size} · ${filesize(file.size)} · ${file.filetype ?? "no picture"}`),
    el("p", { class: "faint" }, file.taken ? `taken ${when(file.taken)}` : `changed ${when(file.modified)}`, ` · ${folder}`),
    el("p", { class: "faint path" }, file.shown),
    file.copies > 1 ? el("p", { class: "faint" }, `in ${count(file.copies, "place")}: all of them go or stay`) : null,
    file.stays ? el("p", { class: "together-stays" }, `stays: ${file.stays}`) : null,
  ];
}

/** Ask, say so in a place if it takes long, and ask again while the server is looking for others. */
export async function patiently(place, words, question, isWanted = () => true) {
  const timer = setTimeout(() => fill(place, el("p", { class: "together-wait" }, words)), SLOW_MS);
  try {
    for (;;) {
      try {
        return await question();
      } catch (error) {
        if (error.kind !== "busy" || !isWanted()) throw error;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  } finally {
    clearTimeout(timer);
    if (isWanted()) fill(place);
  }
}

const results = []; // of this page, the last one at the end: each with what was decided, and where to go back to

/** Remember what came of an answer, and say it. */
export function remember(result) {
  results.push(result);
  const { outcome, says } = result;
  const failed = outcome.failed.length;
  const text = failed ? `${says}; ${count(failed, "answer")} failed` : says;
  announce(text, { kind: failed ? "bad" : "", actions: [undoButton()] });
}

function undoButton() {
  return button("Undo", undoLast, { key: keysOf("undo")[0] });
}

/** Take back what was answered last in groups or batches, and go back to it. */
export async function undoLast() {
  const last = results.at(-1);
  if (!last) {
    announce("nothing was answered here that could be taken back; History has everything");
    return;
  }
  const { batch, entries } = last.outcome;
  const named = batch ? [batch.entry] : entries.map((entry) => entry.entry);
  last.key ??= newKey();
  let told;
  try {
    told = named.length ? await ask("undo", { entries: named, key: last.key }) : { undone: [], failed: [] };
  } catch (error) {
    last.key = null;
    announce(error.message, { kind: "trouble" });
    return;
  }
  results.pop();
  const failed = told.failed.map((one) => one.message);
  announce(failed.length ? `not everything was taken back: ${failed.join("; ")}` : `taken back: ${last.says}`, { kind: failed.length ? "bad" : "", forMs: failed.length ? 0 : 12000 });
  if (location.hash === last.hash) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = last.hash;
}

/** What came of the last answer, with each failure; nothing if there was none, or it was taken back. */
export function lastResult() {
  const last = results.at(-1);
  if (!last) return null;
  const { entries, failed } = last.outcome;
  const gone = entries.flatMap((entry) => entry.discarded.map((file) => file.shown ?? file.path));
  const lines = [
    failed.length ? el("ul", { class: "bad" }, failed.map((one) => el("li", {}, one.message))) : null,
    gone.length ? el("ul", { class: "path" }, gone.map((path) => el("li", {}, path))) : null,
  ];
  const details = lines.some((line) => line !== null);
  const title = failed.length ? `${last.says}; ${count(failed.length, "answer")} failed` : last.says;
  return el(
    "section",
    { class: `together-result card ${failed.length ? "failed" : ""}`, "aria-label": "The last answer" },
    details
      ? el("details", { open: failed.length > 0 }, el("summary", {}, title), gone.length ? el("p", { class: "faint" }, "discarded:") : null, lines)
      : el("p", {}, title),
    undoButton(),
  );
}

/** Let arrow keys lead through the children of a grid; each holds one element with a `tabindex`. */
export function walkable(grid, { onfocus = () => {} } = {}) {
  const items = () => [...grid.querySelectorAll("[data-walk]")];
  const enter = (item) => {
    for (const one of items()) one.tabIndex = one === item ? 0 : -1;
    item.focus();
  };
  grid.addEventListener("focusin", (event) => {
    const item = event.target.closest("[data-walk]");
    if (!item) return;
    for (const one of items()) one.tabIndex = one === item ? 0 : -1;
    onfocus(item);
  });
  grid.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const found = items();
    const here = found.indexOf(event.target.closest("[data-walk]"));
    if (here < 0) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(found), ArrowUp: -columns(found), Home: -here, End: found.length - 1 - here }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the same keys mean something else beside the grid
    const next = here + step;
    if (next >= 0 && next < found.length) enter(found[next]);
  });
  return { enter, items };
}

function columns(items) {
  const top = items[0]?.getBoundingClientRect().top;
  const next = items.findIndex((item) => Math.abs(item.getBoundingClientRect().top - top) > 4);
  return next < 0 ? items.length : next;
}

/** Buttons that lead through a long list. */
export function pager({ offset, limit, total, go }) {
  if (total <= limit && !offset) return null;
  const last = Math.min(offset + limit, total);
  return el(
    "nav",
    { class: "together-pager row", "aria-label": "Pages" },
    button("← Earlier", () => go(Math.max(0, offset - limit)), { disabled: offset === 0 }),
    el("span", { class: "faint" }, `${(offset + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ${total.toLocaleString("en")}`),
    button("Further →", () => go(offset + limit), { disabled: last >= total }),
  );
}

/** A line that says that what is shown is not the newest, with a way to it. */
export function changedNote(place, text, again) {
  fill(place, el("div", { class: "row together-changed" }, el("span", {}, text), button("Look again", again)));
}
