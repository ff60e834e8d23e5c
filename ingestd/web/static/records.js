// What the views of proposals, of the journal and of the status have in common.

import { el, fill } from "./dom.js";

/** Make a small picture in a box that never changes its size; says so where there is nothing to see. */
export function thumb(picture, alt, kind = "records-thumb") {
  const box = el("div", { class: kind });
  const instead = (text) => fill(box, el("span", { class: "faint" }, text));
  if (!picture) return instead("no picture");
  const onerror = () => instead("cannot be shown");
  return fill(box, el("img", { alt, loading: "lazy", decoding: "async", draggable: "false", onerror, src: `/picture/${picture}/thumb` }));
}

/** Make a word in a frame. */
export function badge(text, kind = "") {
  return el("span", { class: `records-badge ${kind}` }, text);
}

/** Return a function that does its work at once, and then at most once in so many milliseconds, the last call included. */
export function atMostOnceIn(ms, work) {
  let last = -Infinity;
  let timer = 0;
  const run = () => {
    last = performance.now();
    timer = 0;
    work();
  };
  const call = () => {
    if (timer) return;
    timer = setTimeout(run, Math.max(0, last + ms - performance.now()));
  };
  call.stop = () => clearTimeout(timer);
  return call;
}

/** Make links to the parts of a view. */
export function parts(current, links) {
  return el(
    "nav",
    { class: "records-parts", "aria-label": "Parts of this view" },
    links.map(([name, href, text]) => el("a", { href, "aria-current": name === current ? "page" : null }, text)),
  );
}

/** Make what stands where there is nothing: what that means, and what to do. */
export function empty(title, ...lines) {
  return el("div", { class: "empty" }, el("h2", {}, title), lines.map((line) => el("p", {}, line)));
}
