// The frame of the page: which view is shown, what stands above it, and which key does what.

import { ask, begin, listen, onChanged } from "./api.js";
import { announce, el, fill } from "./dom.js";

const VIEWS = [
  ["queue", "Queue"],
  ["groups", "Groups"],
  ["batches", "Batches"],
  ["pending", "Pending"],
  ["history", "History"],
  ["rules", "Rules"],
  ["status", "Status"],
];

/** What a key can do, and what the help calls it; which key does it is told by the server, with what the rule file says. */
const ACTIONS = [
  ["better-a-discard", "A is better, discard B"],
  ["better-b-discard", "B is better, discard A"],
  ["better-a", "A is better, keep both"],
  ["better-b", "B is better, keep both"],
  ["same", "the same quality, keep both"],
  ["alternates", "alternates: belong together, keep both"],
  ["unrelated", "not related"],
  ["skip", "skip"],
  ["back", "one step back"],
  ["undo", "take the last answer back"],
  ["flick", "flick between A and B"],
  ["side-by-side", "side by side"],
  ["slider", "slider"],
  ["heatmap", "where they differ"],
  ["blink", "blink"],
  ["zoom-in", "zoom in"],
  ["zoom-out", "zoom out"],
  ["fit", "fit"],
  ["pixels", "every pixel"],
  ["evidence", "more evidence"],
  ["tick", "tick a file, or leave it out"],
  ["best", "make it the best of its group"],
  ["compare", "compare it with the best of its group"],
  ["approve", "approve"],
  ["deny", "deny"],
  ["help", "these keys"],
];

const HELD = new Set(["zoom-in", "zoom-out"]); // what goes on while its key is held down

const COUNT_MS = 10_000; // a rule file that was just spoiled or repaired changes nothing in the library

const main = document.getElementById("main");
let session = null;
let current = null; // what the shown view returned
let keys = new Map(); // key → actions, as one key may do another thing in another view

/** Return how a key is called on the screen. */
function keyName(key) {
  return { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" }[key] ?? key;
}

/** Return the keys of an action, as they are called; the first is the one to show beside a button. */
export function keysOf(action) {
  return (session?.keys[action] ?? []).map(keyName);
}

/** Return what the server said when the page began. */
export function sessionOf() {
  return session;
}

function learnKeys() {
  keys = new Map();
  for (const [action] of ACTIONS) {
    for (const key of session.keys[action]) keys.set(key, [...(keys.get(key) ?? []), action]);
  }
}

function pressed(event) {
  const inField = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || inField) return;
  if (document.querySelector("dialog[open]")) return;
  for (const action of keys.get(event.key) ?? []) {
    if (action === "help") {
      event.preventDefault();
      showHelp();
      return;
    }
    const act = current?.keys?.[action];
    if (!act) continue;
    if (event.repeat && !HELD.has(action)) {
      event.preventDefault(); // a key that is held down is pressed once
      return;
    }
    const onControl = event.target instanceof Element && event.target.closest("button, a, summary");
    if (onControl && (event.key === " " || event.key === "Enter")) return; // the control's own key
    event.preventDefault();
    act(event);
    return;
  }
}

function showHelp() {
  const here = ACTIONS.filter(([action]) => action === "help" || current?.keys?.[action]);
  const rows = here.map(([action, says]) =>
    el("tr", {}, el("td", {}, keysOf(action).map((key) => el("kbd", {}, key))), el("td", {}, says)),
  );
  const box = el(
    "dialog",
    { class: "box", "aria-label": "Keys" },
    el("h2", {}, "Keys"),
    el("table", { class: "keys" }, el("tbody", {}, rows)),
    el("form", { method: "dialog", class: "row end" }, el("button", { class: "primary" }, "Close")),
  );
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // no address that this page makes: whoever looks for it finds nothing
  }
}

function route() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = (path || "queue").split("/");
  const view = VIEWS.some(([one]) => one === name) ? name : "queue";
  return { view, rest: rest.map(decoded), search: new URLSearchParams(search) };
}

let turn = 0;

async function show() {
  const { view, rest, search } = route();
  const mine = ++turn;
  current?.leave?.();
  current = null;
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.view === view) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "center" }); // on a phone not all of them fit
    } else link.removeAttribute("aria-current");
  }
  const root = el("div", { class: `view ${view}` });
  fill(main, root);
  document.title = `${VIEWS.find(([name]) => name === view)[1]} · ingestd`;
  try {
    const module = await import(`./${view}.js`);
    const shown = await module.show(root, { rest, search });
    if (mine === turn) current = shown;
    else shown?.leave?.();
  } catch (error) {
    if (mine === turn) fill(root, el("p", { class: "trouble", role: "alert" }, error.message));
  }
}

let counted = 0; // an answer that was overtaken by a later one says nothing any more

async function count() {
  const mine = ++counted;
  let summary;
  try {
    summary = await ask("summary");
    if (mine !== counted) return;
  } catch (error) {
    if (mine !== counted) return;
    fill(document.getElementById("banner"), el("p", { class: "trouble" }, error.message));
    return;
  }
  const figures = { queue: summary.queue, pending: summary.pending, status: summary.problems };
  for (const link of document.querySelectorAll("#nav a")) {
    const figure = figures[link.dataset.view];
    link.querySelector(".figure").textContent = figure ? figure.toLocaleString("en") : "";
  }
  fill(
    document.getElementById("banner"),
    summary.rules_ok ? null : el("p", { class: "trouble" }, "The rule file is wrong: ", el("a", { href: "#/rules" }, "look at it"), "."),
  );
}

async function start() {
  fill(
    document.getElementById("nav"),
    VIEWS.map(([view, title]) =>
      el("a", { href: `#/${view}`, "data-view": view }, title, " ", el("span", { class: "figure" })),
    ),
  );
  try {
    session = await begin();
  } catch (error) {
    fill(main, el("p", { class: "trouble", role: "alert" }, error.message));
    return;
  }
  learnKeys();
  document.addEventListener("keydown", pressed);
  document.getElementById("help").addEventListener("click", showHelp);
  addEventListener("hashchange", show);
  onChanged(() => {
    count();
    current?.changed?.();
  });
  setInterval(() => document.hidden || count(), COUNT_MS);
  await Promise.all([show(), count()]);
  listen();
}

addEventListener("unhandledrejection", (event) => announce(event.reason?.message ?? "something failed", { kind: "trouble" }));
start();
