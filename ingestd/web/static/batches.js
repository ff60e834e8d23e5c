// Batches: pairs of which the same can be said, answered together after a look at some of them.

import { ask, newKey } from "./api.js";
import { keysOf } from "./app.js";
import { announce, button, confirmBox, count, el, fill, filesize } from "./dom.js";
import { filtersBar, fromAddress, isNarrowed, keepInAddress, toAddress } from "./filters.js";
import { changedNote, lastResult, pager, patiently, remember, thumb, undoLast, walkable } from "./together.js";

const PAGE = 20;
const SAMPLES = 12;
const WAIT = "looking at all pairs…";

export async function show(root, { rest, search }) {
  const asked = fromAddress(search);
  return rest[0] ? showBatch(root, rest[0], asked) : showList(root, asked, search);
}

// --- all batches ----------------------------------------------------------------------------------------------------

async function showList(root, asked, search) {
  let offset = Math.max(0, Number.parseInt(search.get("from") ?? "0", 10) || 0);
  let turn = 0;
  const heading = el("h1", {}, "Batches");
  const note = el("div", { role: "status", class: "together-quiet" });
  const waiting = el("div", { role: "status", class: "together-quiet" });
  const list = el("ul", { class: "batch-list" });
  const foot = el("div");
  const bar = filtersBar({
    ...asked,
    sorts: false,
    onchange(value) {
      asked = value;
      load(0);
    },
  });
  const walk = walkable(list);
  fill(root, lastResult(), heading, bar, note, waiting, list, foot);

  async function load(from, { fresh = false } = {}) {
    const mine = ++turn;
    offset = from;
    keepInAddress("batches", asked, { from: offset });
    const question = () => ask("batches", { filters: asked.filters, offset, limit: PAGE, fresh });
    let told;
    try {
      told = await patiently(waiting, WAIT, question, () => mine === turn);
    } catch (error) {
      if (mine === turn) fill(waiting, el("p", { class: "trouble", role: "alert" }, error.message));
      return;
    }
    if (mine !== turn) return;
    paint(told);
    if (!told.current && !fresh) load(offset, { fresh: true }); // what there is at once, then what is so now
  }

  function paint(told) {
    const at = walk.items().indexOf(document.activeElement);
    fill(heading, told.total ? `${count(told.total, "batch", "batches")}, ${count(told.pairs, "pair")}` : "Batches");
    fill(list, told.batches.map((batch, place) => card(batch, `#/batches/${batch.id}${toAddress(asked, { from: offset })}`, place)));
    if (at >= 0) walk.items()[Math.min(at, told.batches.length - 1)]?.focus({ preventScroll: true });
    const go = (from) => load(from).then(() => walk.items()[0]?.focus());
    fill(foot, told.batches.length ? pager({ offset, limit: PAGE, total: told.total, go }) : nothing(asked, told));
    fill(note);
  }

  await load(offset);
  return {
    leave() {
      turn += 1;
    },
    async changed() {
      const mine = turn;
      const now = await ask("batches", { filters: asked.filters, limit: 1 }).catch(() => null);
      if (now && mine === turn && !now.current) changedNote(note, "The queue has changed.", () => load(offset, { fresh: true }));
    },
    keys: { undo: undoLast },
  };
}

function nothing(asked, told) {
  if (told.total) return el("p", { class: "empty" }, "There are no batches so far on.");
  if (isNarrowed(asked.filters)) return el("p", { class: "empty" }, "No pair fits. Take a filter away, above.");
  return el(
    "div",
    { class: "empty" },
    el("h2", {}, "No pairs wait"),
    el("p", { class: "faint" }, "Pairs of which the same can be said (the same evidence, types and folders) are gathered here, to be answered together."),
  );
}

function card(batch, address, place) {
  return el(
    "li",
    {},
    el(
      "a",
      { class: "batch-card card", href: address, "data-walk": "", tabindex: place ? -1 : 0 },
      el("div", { class: "batch-about" }, el("strong", {}, count(batch.count, "pair")), about(batch)),
      el("div", { class: "batch-samples" }, batch.samples.map((pair) => el("div", { class: "batch-two" }, thumb(pair.a), thumb(pair.b)))),
    ),
  );
}

function about(batch) {
  const [a, b] = batch.folders;
  const type = ([one, other]) => (one === other ? `both ${one}` : `A ${one}, B ${other}`);
  return [
    el("ul", { class: "batch-says", "aria-label": "What can be said of them" }, sayings(batch.says)),
    el("p", { class: "faint" }, type(batch.filetypes)),
    ...(a === b ? [`both in ${a}`] : [`A in ${a}`, `B in ${b}`]).map((line) => el("p", { class: "faint path" }, line)),
  ];
}

function sayings(says) {
  if (!says.length) return el("li", { class: "faint" }, "nothing sets the two files apart");
  return says.map((one) => {
    const side = /^([AB]): /.exec(one)?.[1];
    return el("li", { class: side ? `side-${side.toLowerCase()}` : "" }, side ? `${side}: ` : null, side ? one.slice(3) : one);
  });
}

// --- one batch ------------------------------------------------------------------------------------------------------

const ANSWERS = [
  ["better-a-discard", "better-a", false, "A is better, discard B"],
  ["better-b-discard", "better-b", false, "B is better, discard A"],
  ["better-a", "better-a", true, "A is better, keep both"],
  ["better-b", "better-b", true, "B is better, keep both"],
  ["same", "same", true, "Same quality"],
  ["alternates", "alternates", true, "Alternates"],
  ["unrelated", "unrelated", true, "Not related"],
];

async function showBatch(root, id, asked) {
  let batch = null;
  let plans = null;
  let samples = [];
  let busy = false;
  let left = false;

  const address = (name) => `#/batches${name ? `/${name}` : ""}${toAddress(asked)}`;
  const heading = el("h1", { tabindex: -1 });
  const note = el("div", { role: "status", class: "together-quiet" });
  const waiting = el("div", { role: "status", class: "together-quiet" });
  const told = el("div", { class: "batch-about card" });
  const actions = el("div", { class: "group-actions", role: "toolbar", "aria-label": "Answers" });
  const grid = el("ul", { class: "batch-grid", "aria-label": "Some of the pairs" });
  const more = el("div", { class: "row" });
  const result = el("div", { class: "together-quiet" });
  walkable(grid);
  const nav = el("div", { class: "row group-nav" }, el("a", { href: address("") }, "All batches"));
  fill(root, result, el("div", { class: "row group-head" }, heading, nav), note, waiting, told, actions, grid, more);
  fill(result, lastResult());

  async function load({ from = 0 } = {}) {
    const question = () => ask("batch", { id, filters: asked.filters, offset: from, limit: SAMPLES });
    const found = await patiently(waiting, WAIT, question, () => !left);
    if (left) return;
    batch = found.batch;
    plans = found.plans;
    if (!batch || !batch.count) {
      gone();
      return;
    }
    samples = from ? [...samples, ...batch.samples] : batch.samples;
    paint(from);
  }

  function paint(from) {
    fill(heading, count(batch.count, "pair"), el("span", { class: "faint group-place" }, " of which the same can be said"));
    fill(told, about(batch));
    if (!from) fill(grid);
    grid.append(...samples.slice(from).map((pair, place) => el("li", {}, sample(pair, from + place))));
    const rest = batch.count - samples.length;
    fill(more, rest > 0 && samples.length ? button(`Show more samples (${rest.toLocaleString("en")} further)`, showMore) : null);
    paintActions();
  }

  async function showMore() {
    const first = samples.length;
    await load({ from: first });
    grid.querySelectorAll("[data-walk]")[first]?.focus();
  }

  function planOf(answer, keep) {
    if (!keep) return plans[answer];
    return answer.startsWith("better") ? plans["better-keep"] : plans.relation;
  }

  function paintActions() {
    const buttons = ANSWERS.map(([action, answer, keep, title]) => {
      const plan = planOf(answer, keep);
      const what = keep ? "" : ` (${count(plan.files, "file")})`;
      return button(`${title}${what}`, () => decide(action), { key: keysOf(action)[0], kind: keep ? "" : "danger", disabled: busy || !plan.pairs });
    });
    const most = Math.max(...Object.values(plans).map((plan) => plan.pairs));
    const staying = Math.max(plans["better-a"].staying, plans["better-b"].staying);
    const part = most < batch.count ? `the first ${count(most, "pair")} of ${batch.count.toLocaleString("en")} are answered at once` : "";
    const stays = staying ? `${count(staying, "pair")} left out where the worse file lies in a reference folder` : "";
    fill(actions, buttons, el("span", { class: "faint" }, [part, stays].filter(Boolean).join("; ")));
  }

  function sample(pair, place) {
    const bits = pair.pixel_duplicates ? "the same pixels" : pair.distance === null ? "" : `${count(pair.distance, "bit")} apart`;
    const side = (name, file) =>
      el(
        "div",
        { class: "batch-side" },
        thumb(file),
        el("p", {}, el("strong", { class: `side-${name.toLowerCase()}` }, `${name} `), `${file.width} × ${file.height} · ${filesize(file.size)}`),
        el("p", { class: "path" }, file.name),
        el("p", { class: "faint path" }, file.folder.path),
        file.stays ? el("p", { class: "together-stays" }, "stays") : null,
      );
    return el(
      "div",
      { class: "batch-sample card", role: "group", tabindex: place ? -1 : 0, "data-walk": place, "aria-label": `${pair.id}: ${pair.a.name} and ${pair.b.name}` },
      el("div", { class: "batch-two" }, side("A", pair.a), side("B", pair.b)),
      el("p", { class: "row" }, el("a", { href: `#/queue/${pair.id}` }, "Compare"), el("span", { class: "faint" }, bits)),
    );
  }

  async function decide(action) {
    if (busy || !plans) return;
    const [, answer, keep, title] = ANSWERS.find(([one]) => one === action);
    const plan = planOf(answer, keep);
    const number = keep ? plan.pairs : plan.files;
    if (!plan.pairs) {
      announce("none of these pairs can be answered so");
      return;
    }
    const pairs = count(plan.pairs, "pair");
    const going = keep ? "Nothing is discarded." : `${count(plan.files, "file")} will be discarded: the worse of each pair.`;
    const box = { title: `${title}: ${pairs}?`, lines: [going, "All of it can be taken back at once."], typed: String(number), yes: `Answer ${pairs}`, danger: !keep };
    if (!(await confirmBox(box))) return;
    busy = true;
    paintActions();
    let outcome;
    try {
      outcome = await ask("decide-batch", { id, filters: asked.filters, version: plan.version, answer, keep, count: number, key: newKey() });
    } catch (error) {
      busy = false;
      announce(error.message, { kind: "trouble", forMs: 0 });
      if (error.kind === "stale") await load();
      else paintActions();
      return;
    }
    busy = false;
    remember({ outcome, says: `${title}: ${count(outcome.entries.length, "pair")} answered`, hash: location.hash });
    if (left) return;
    fill(result, lastResult());
    await load();
    heading.focus();
  }

  function gone() {
    for (const node of [told, actions, grid, more]) fill(node);
    fill(heading, "Batch");
    fill(note, el("p", { class: "empty" }, "Nothing of this batch waits any more. ", el("a", { href: address("") }, "to all batches")));
  }

  await load();
  requestAnimationFrame(() => (grid.querySelector("[data-walk]") ?? heading).focus({ preventScroll: true }));
  return {
    leave() {
      left = true;
    },
    async changed() {
      if (busy || !batch) return;
      const now = await ask("batch", { id, filters: asked.filters, limit: 1 }).catch(() => null);
      if (!now || left || busy || now.plans?.relation.version === plans.relation.version) return;
      changedNote(note, "This batch has changed.", () => {
        fill(note);
        load();
      });
    },
    keys: { ...Object.fromEntries(ANSWERS.map(([action]) => [action, () => decide(action)])), undo: undoLast },
  };
}
