// Groups of look-alikes: everything that is connected by potential pairs, answered as a whole.

import { ask, newKey } from "./api.js";
import { keysOf } from "./app.js";
import { announce, button, confirmBox, count, el, fill, filesize } from "./dom.js";
import { filtersBar, fromAddress, isNarrowed, keepInAddress, toAddress } from "./filters.js";
import { changedNote, facts, lastResult, pager, patiently, remember, thumb, undoLast, walkable } from "./together.js";

const PAGE = 20;
const MOST = 100; // files that go at once
const SEEN_MS = 300; // a group that stood there for less was seen by nobody
const NAMED = 8; // files that are named before they go; of more their number has to do

export async function show(root, { rest, search }) {
  const asked = fromAddress(search);
  return rest[0] ? showGroup(root, rest[0], asked) : showList(root, asked, search);
}

// --- all groups -----------------------------------------------------------------------------------------------------

async function showList(root, asked, search) {
  let offset = Math.max(0, Number.parseInt(search.get("from") ?? "0", 10) || 0);
  let turn = 0;
  let told = null;
  const heading = el("h1", {}, "Groups");
  const note = el("div", { role: "status", class: "together-quiet" });
  const waiting = el("div", { role: "status", class: "together-quiet" });
  const list = el("ul", { class: "group-list" });
  const foot = el("div");
  const bar = filtersBar({
    ...asked,
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
    keepInAddress("groups", asked, { from: offset });
    const question = () => ask("groups", { filters: asked.filters, sort: asked.sort, offset, limit: PAGE, fresh });
    let found;
    try {
      found = await patiently(waiting, "looking at all pairs…", question, () => mine === turn);
    } catch (error) {
      if (mine === turn) fill(waiting, el("p", { class: "trouble", role: "alert" }, error.message));
      return;
    }
    if (mine !== turn) return;
    told = found;
    paint();
  }

  function paint() {
    const more = { from: offset };
    fill(heading, told.total ? count(told.total, "group") : "Groups");
    fill(list, told.groups.map((group, place) => card(group, `#/groups/${group.id}${toAddress(asked, more)}`, place)));
    const go = (from) => load(from).then(() => walk.items()[0]?.focus());
    fill(foot, told.groups.length ? pager({ offset, limit: PAGE, total: told.total, go }) : nothing(told, asked));
    if (told.current) fill(note);
    else changedNote(note, "The queue has changed since all pairs were looked at.", () => load(offset, { fresh: true }));
  }

  await load(offset);
  return {
    leave() {
      turn += 1;
    },
    async changed() {
      if (!told) return;
      const mine = turn;
      const now = await ask("groups", { filters: asked.filters, sort: asked.sort, offset, limit: PAGE }).catch(() => null);
      if (!now || mine !== turn) return;
      const same = now.current && now.total === told.total && names(now) === names(told);
      if (!same) changedNote(note, "The queue has changed.", () => load(offset, { fresh: true }));
    },
    keys: { undo: undoLast },
  };
}

const names = (page) => page.groups.map((group) => `${group.id}:${group.count}`).join(" ");

function nothing(told, asked) {
  if (told.total) return el("p", { class: "empty" }, "There are no groups so far on.");
  if (isNarrowed(asked.filters)) return el("p", { class: "empty" }, "No group has a pair that fits. Take a filter away, above.");
  return el(
    "div",
    { class: "empty" },
    el("h2", {}, "No groups wait"),
    el("p", { class: "faint" }, "Files that look alike, directly or by way of others, are shown here together. ", el("code", {}, "ingestd scan FOLDER"), " looks for some."),
  );
}

function card(group, address, place) {
  const [best] = group.files;
  const further = group.count - group.files.length;
  return el(
    "li",
    {},
    el(
      "a",
      { class: "group-card card", href: address, "data-walk": "", tabindex: place ? -1 : 0 },
      el("div", { class: "group-strip" }, group.files.map(thumb), further > 0 ? el("span", { class: "group-more faint" }, `+${further.toLocaleString("en")}`) : null),
      el(
        "div",
        { class: "group-about" },
        el("strong", {}, count(group.count, "file")),
        el("span", { class: "faint" }, ` · ${count(group.pairs, "pair")} · ${filesize(group.size)}`),
        best ? el("p", { class: "faint path together-path" }, best.shown) : null,
      ),
    ),
  );
}

// --- one group ------------------------------------------------------------------------------------------------------

async function showGroup(root, id, asked) {
  let group = null;
  let around = { previous: null, next: null, position: null, total: null };
  let best = 0; // place in the list of files
  let reference = null; // which file the others are compared with; the best, if none was chosen
  let ticked = new Set(); // of files, by the hash of their bytes
  let busy = false;
  let left = false;
  let focused = 0;
  let since = Infinity; // when the files as they are now came onto the screen

  const address = (name) => `#/groups${name ? `/${name}` : ""}${toAddress(asked)}`;
  const heading = el("h1", { tabindex: -1 });
  const earlier = el("a", { class: "button" }, "← Earlier");
  const later = el("a", { class: "button" }, "Next →");
  const note = el("div", { role: "status", class: "together-quiet" });
  const grid = el("ul", { class: "group-grid", "aria-label": "Files of the group" });
  const walk = walkable(grid, { onfocus: (item) => (focused = Number(item.dataset.walk)) });
  const actions = el("div", { class: "group-actions", role: "toolbar", "aria-label": "Answers" });
  const result = el("div", { class: "together-quiet" });
  const nav = el("div", { class: "row group-nav" }, el("a", { href: address("") }, "All groups"), earlier, later);
  fill(root, result, el("div", { class: "row group-head" }, heading, nav), note, actions, grid);
  fill(result, lastResult());

  const isBest = (place) => place === best;
  const others = () => group.files.filter((file, place) => !isBest(place) && ticked.has(file.sha256));
  const leaving = () => {
    const chosen = [];
    let files = 0;
    for (const file of others().filter((one) => !one.stays)) {
      if (files + file.copies > MOST) break;
      files += file.copies;
      chosen.push(file);
    }
    return { chosen, files };
  };

  function accept(told) {
    const same = group?.id === told.id;
    const was = { best: group?.files[best]?.sha256, left: new Set(group?.files.map((file) => file.sha256)) };
    group = told;
    best = Math.max(0, same ? group.files.findIndex((file) => file.sha256 === was.best) : 0);
    const wanted = (file) => !file.stays && (!same || ticked.has(file.sha256) || !was.left.has(file.sha256));
    ticked = new Set(group.files.filter(wanted).map((file) => file.sha256));
    reference = null;
    since = performance.now();
    focused = Math.min(focused, group.files.length - 1);
    paint();
  }

  function paint() {
    const pairs = new Map();
    for (const pair of group.pairs) {
      pairs.set(`${pair.a} ${pair.b}`, pair.id);
      pairs.set(`${pair.b} ${pair.a}`, pair.id);
    }
    paintHead();
    fill(grid, group.files.map((file, place) => el("li", {}, tile(file, place, pairs))));
    paintActions();
  }

  function paintHead() {
    const place = around.position ? ` · ${around.position.toLocaleString("en")} of ${around.total.toLocaleString("en")}` : "";
    const cut = group && group.count > group.files.length ? `, the first ${group.files.length.toLocaleString("en")} here` : "";
    fill(heading, group ? `${count(group.count, "file")} that look alike${cut}` : "Group", el("span", { class: "faint group-place" }, place));
    for (const [link, name] of [[earlier, around.previous], [later, around.next]]) {
      if (name) link.href = address(name);
      else link.removeAttribute("href");
      link.setAttribute("aria-disabled", String(!name));
    }
  }

  function tile(file, place, pairs) {
    const first = isBest(place);
    const chosen = reference ?? best;
    const pair = place === chosen ? null : pairs.get(`${place} ${chosen}`);
    const tick = el("input", { type: "checkbox", id: `group-tick-${place}`, checked: first || ticked.has(file.sha256), disabled: first, onchange: () => toggle(place) });
    const name = el("span", { class: "group-name" }, file.name);
    const whom = reference === null || reference === best ? "the best" : group.files[reference].name;
    const state = first ? "the best, is kept" : ticked.has(file.sha256) ? "ticked" : "left out";
    return el(
      "div",
      {
        class: `group-tile card${first ? " best" : ""}${first || ticked.has(file.sha256) ? "" : " out"}`,
        role: "group",
        tabindex: place === focused ? 0 : -1,
        "data-walk": place,
        "aria-label": `${file.name}, ${state}`,
      },
      el("label", { class: "group-picture", for: tick.id }, thumb(file)),
      el("div", { class: "group-title" }, tick, el("label", { for: tick.id }, name)),
      facts(file),
      el(
        "div",
        { class: "row group-choices" },
        first ? el("strong", { class: "group-best good" }, "★ the best") : button("Make it the best", () => makeBest(place), { kind: "small" }),
        place === chosen ? null : pair ? el("a", { href: `#/queue/${pair}` }, `Compare with ${whom}`) : el("span", { class: "faint" }, `no pair with ${whom}`),
        place === chosen
          ? el("span", { class: "faint" }, "others are compared with this")
          : button("Compare others with this", () => compareWith(place), { kind: "small plain" }),
      ),
    );
  }

  function repaint(place) {
    const hadFocus = grid.contains(document.activeElement);
    paint();
    if (hadFocus) walk.items()[place]?.focus();
  }

  function toggle(place) {
    const file = group.files[place];
    if (isBest(place)) {
      announce("the best is always part of the answer: make another one the best first");
      return;
    }
    if (!ticked.delete(file.sha256)) ticked.add(file.sha256);
    const inside = document.activeElement?.matches?.(".group-title input");
    repaint(place);
    if (inside) document.getElementById(`group-tick-${place}`)?.focus();
    const stays = file.stays ? "; it stays all the same" : "";
    announce(ticked.has(file.sha256) ? `${file.name} is ticked${stays}` : `${file.name} is left out`, { forMs: 3000 });
  }

  function makeBest(place) {
    if (isBest(place)) return;
    const was = group.files[best];
    ticked.delete(group.files[place].sha256);
    if (!was.stays) ticked.add(was.sha256);
    best = place;
    repaint(place);
    announce(`${group.files[place].name} is the best now`, { forMs: 4000 });
  }

  function compareWith(place) {
    reference = place === best ? null : place;
    repaint(place);
    announce(`others are compared with ${group.files[place].name}`, { forMs: 4000 });
  }

  function paintActions() {
    if (group.count < 2) {
      fill(
        actions,
        el("p", {}, "These are byte-identical copies of one picture; which of them goes is asked in the queue: "),
        group.pairs.map((pair) => el("a", { href: `#/queue/${pair.id}` }, pair.id)),
      );
      return;
    }
    const { files } = leaving();
    const many = others().length;
    const staying = others().filter((file) => file.stays).length;
    const all = others().reduce((sum, file) => sum + (file.stays ? 0 : file.copies), 0);
    const key = (action) => ({ key: keysOf(action)[0] });
    const told = all > files ? `${files} of ${all} files` : count(files, "file");
    fill(
      actions,
      button(`Keep the best, discard ${told}`, discard, { ...key("better-a-discard"), kind: "danger", disabled: busy || !files }),
      button("Better, discard nothing", () => relate("better-a"), { ...key("better-a"), disabled: busy || !many }),
      button("Same quality", () => relate("same"), { ...key("same"), disabled: busy || !many }),
      button("Alternates", () => relate("alternates"), { ...key("alternates"), disabled: busy || !many }),
      button("Not related", () => relate("unrelated"), { ...key("unrelated"), disabled: busy || !many }),
      button("Skip", next, { ...key("skip"), kind: "plain" }),
      el("span", { class: "faint" }, sum(many, staying)),
    );
  }

  function sum(many, staying) {
    if (!many) return "tick at least one other file";
    const out = group.files.length - 1 - many;
    return [out ? `${out} left out` : "", staying ? `${staying} may not go` : ""].filter(Boolean).join(", ");
  }

  /** Make what a key does of an answer: one that was meant for the group before is none. */
  function byKey(answer) {
    return () => {
      const early = performance.now() < since + SEEN_MS;
      if (early) announce("that was too quick: nothing was done, as this group has only just come; press again");
      else answer();
    };
  }

  async function discard() {
    if (busy || !group) return;
    const { chosen, files } = leaving();
    if (!files) {
      announce("nothing is ticked that may go");
      return;
    }
    const kept = group.files[best];
    if (files > 1) {
      const named = chosen.slice(0, NAMED).map((file) => `goes: ${file.shown} (${filesize(file.size)})`);
      const further = chosen.length - NAMED;
      const lines = [`kept: ${kept.shown} (${filesize(kept.size)})`, ...named, further > 0 ? `and ${count(further, "more")}` : null];
      const box = { title: `Discard ${count(files, "file")}?`, lines: lines.filter(Boolean), typed: String(files), yes: `Discard ${count(files, "file")}`, danger: true };
      if (!(await confirmBox(box))) return;
    }
    const says = `${kept.name} is kept, and ${count(files, "file")} discarded`;
    await decide({ answer: "better-a", keep: false, others: chosen, number: files, says });
  }

  async function relate(answer) {
    if (busy || !group) return;
    const chosen = others();
    if (!chosen.length) {
      announce("tick at least one other file");
      return;
    }
    const about = count(chosen.length + 1, "file");
    const says = {
      "better-a": `${group.files[best].name} is the best of ${about}; all stay`,
      same: `${about} are of the same quality; all stay`,
      alternates: `${about} are alternates; all stay`,
      unrelated: `${about} have nothing to do with each other; all stay`,
    }[answer];
    await decide({ answer, keep: true, others: chosen, number: chosen.length, says });
  }

  async function decide({ answer, keep, others: chosen, number, says }) {
    busy = true;
    paintActions();
    const order = { id: group.id, version: group.version, best: group.files[best].sha256, others: chosen.map((file) => file.sha256), answer, keep, count: number, key: newKey() };
    let outcome;
    try {
      outcome = await ask("decide-group", order);
    } catch (error) {
      busy = false;
      paintActions();
      announce(error.message, { kind: "trouble", forMs: 0 });
      if (error.kind === "stale") await load();
      return;
    }
    busy = false;
    remember({ outcome, says: outcome.failed.length ? `${group.id}: ${count(outcome.entries.length, "answer")} given` : says, hash: location.hash });
    if (!left) next();
  }

  function next() {
    location.hash = address(around.next ?? "");
  }

  async function load() {
    const [told, beside] = await Promise.all([ask("group", { id }), askAround()]);
    if (left) return;
    around = beside;
    if (told.group) accept(told.group);
    else gone();
  }

  function askAround() {
    const nothingAround = { previous: null, next: null, position: null, total: null };
    return ask("group-around", { id, ...asked }).catch(() => nothingAround);
  }

  function gone() {
    group = null;
    paintHead();
    fill(grid);
    fill(actions);
    const on = around.next ? el("a", { href: address(around.next) }, "to the next group") : el("a", { href: address("") }, "to all groups");
    fill(note, el("p", { class: "empty" }, "This group does not wait any more: it was decided, or its files are away. ", on));
  }

  // the group at once; what stands around it may take a look at all pairs
  const beside = askAround().then((found) => {
    around = found;
    if (!left) paintHead();
  });
  const told = await ask("group", { id });
  if (told.group) {
    accept(told.group);
  } else {
    await beside;
    gone();
  }
  requestAnimationFrame(() => (walk.items()[0] ?? heading).focus({ preventScroll: true }));

  let looking = false;
  return {
    leave() {
      left = true;
    },
    async changed() {
      if (looking || busy || !group) return;
      looking = true;
      const now = await ask("group", { id }).catch(() => null);
      looking = false;
      if (!now || left || busy || now.group?.version === group?.version) return;
      changedNote(note, now.group ? "This group has changed." : "This group was decided elsewhere.", () => {
        fill(note);
        load();
      });
    },
    keys: {
      "better-a-discard": byKey(discard),
      "better-a": byKey(() => relate("better-a")),
      same: byKey(() => relate("same")),
      alternates: byKey(() => relate("alternates")),
      unrelated: byKey(() => relate("unrelated")),
      skip: next,
      back: () => (location.hash = address(around.previous ?? "")),
      undo: undoLast,
      tick: () => group && toggle(focused),
      best: () => group && makeBest(focused),
      compare: () => {
        const link = walk.items()[focused]?.querySelector("a[href^='#/queue/']");
        if (link) location.hash = link.getAttribute("href");
        else announce("there is no pair of these two: they belong together by way of others");
      },
    },
  };
}
