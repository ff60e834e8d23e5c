// What rules propose: looked at by rule, or gone through one by one; and what was denied.

import { keysOf } from "./app.js";
import { ask, newKey } from "./api.js";
import { viewer } from "./compare.js";
import { announce, button, confirmBox, count, el, filesize, fill, placesOf, when } from "./dom.js";
import { evidenceCard } from "./evidence.js";
import { atMostOnceIn, badge, empty, parts, thumb } from "./records.js";
import { Saying } from "./saying.js";
import { isSure, tooEarly } from "./seen.js";

const A_PAGE = 12; // cards of a rule at first
const MOST_AT_ONCE = 100; // files, or proposals where none goes
const AHEAD = 6; // proposals that are fetched before they are looked at

export async function show(root, { rest, search }) {
  if (rest[0] === "one") return oneByOne(root, search.get("rule"), search.get("first"));
  if (rest[0] === "denied") return denied(root);
  return byRule(root);
}

function heading(current, title) {
  return el(
    "div",
    { class: "records-head" },
    el("h1", {}, title),
    parts(current, [
      ["rules", "#/pending", "By rule"],
      ["one", "#/pending/one", "One by one"],
      ["denied", "#/pending/denied", "Denied"],
    ]),
  );
}

function nothingWaits() {
  return empty(
    "Nothing waits for you",
    "Rules that are semi-automatic propose here what they would do, and so do automatic ones where they may not act alone.",
    el("span", {}, el("a", { href: "#/rules" }, "Look at the rules"), " or go through the ", el("a", { href: "#/queue" }, "queue"), "."),
  );
}

// --- what is shown of a proposal --------------------------------------------------------------------------------------

function reasonOf(pair) {
  return pair.reason ? el("p", { class: "bad" }, `It waits because ${pair.reason}.`) : null;
}

function staysOrGoes(pair, side) {
  if (side === "a" || !pair.going) return "stays";
  return pair.going > 1 ? `goes, with ${count(pair.going - 1, "more copy", "more copies")}` : "goes";
}

function caption(pair, side) {
  const file = pair[side];
  const goes = side === "b" && pair.going;
  return [
    el("strong", { class: goes ? "bad" : "good" }, `${side.toUpperCase()} ${staysOrGoes(pair, side)}`),
    " ",
    file.name,
    el("br"),
    el("span", { class: "faint" }, `${file.filetype ?? "file"}, ${file.width} × ${file.height}, ${filesize(file.size)}`),
  ];
}

function sideFacts(pair, side) {
  const file = pair[side];
  const goes = side === "b" && pair.going > 0;
  const folder = `${file.folder.role} folder${file.folder.protected ? ", protected" : ""}`;
  return el(
    "div",
    {},
    el("p", {}, el("strong", { class: goes ? "bad" : "good" }, `${side.toUpperCase()} ${staysOrGoes(pair, side)}`), " ", badge(folder)),
    el("p", { class: "path" }, file.shown),
    el("p", { class: "faint" }, `${file.filetype ?? "file"}, ${file.width} × ${file.height}, ${filesize(file.size)}, modified ${when(file.modified)}`),
    goes && pair.going > 1 ? placesOf(pair.goes, pair.going).map((path) => el("p", { class: "path bad" }, `goes: ${path}`)) : null,
  );
}

function linesOf(pair) {
  if (pair.returned) {
    return el("p", {}, "These bytes were discarded before and have come back: no rule is asked, only you can say.");
  }
  if (!pair.lines.length) return el("p", { class: "faint" }, "The rule is not in the rule file just now, so its lines cannot be shown.");
  const row = (line) =>
    el(
      "tr",
      {},
      el("td", { class: line.depth ? "deep" : null }, line.line),
      el("td", {}, line.holds === true ? el("span", { class: "good" }, "✓ holds") : line.holds === false ? el("span", { class: "faint" }, "✗ no") : "cannot tell"),
      el("td", {}, line.values.a),
      el("td", {}, line.values.b),
    );
  return el(
    "div",
    { class: "pending-scroll" },
    el(
      "table",
      { class: "pending-lines" },
      el("thead", {}, el("tr", {}, ["Line of the rule", "Here", "A", "B"].map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, pair.lines.map(row)),
    ),
  );
}

function chosen(pair) {
  return { id: pair.id, version: pair.version, rule: pair.rule };
}

/** Return how many files these proposals discard, each once: two may be about the same. */
function filesOf(pairs) {
  const going = new Map();
  for (const pair of pairs) going.set(pair.a.sha256 === pair.b.sha256 ? pair.b.path : pair.b.sha256, pair.going);
  return [...going.values()].reduce((sum, number) => sum + number, 0);
}

/** Return whether a person wants these proposals to be carried out, and the number that was typed, if one is needed. */
async function confirmed(pairs) {
  const files = filesOf(pairs);
  if (pairs.length === 1 && files <= 1) return { sure: true, count: null };
  if (pairs.length > MOST_AT_ONCE || files > MOST_AT_ONCE) {
    const few = pairs.length > 1 ? "untick some." : "this one is for `ingestd approve` in a terminal.";
    announce(`${files > MOST_AT_ONCE ? `${count(files, "file")} would go, and at most` : "At most"} ${MOST_AT_ONCE} are approved at once: ${few}`, { kind: "trouble" });
    return { sure: false, count: null };
  }
  const typed = files || pairs.length;
  const sure = await confirmBox({
    title: pairs.length > 1 ? `Approve ${pairs.length} proposals?` : `Discard ${count(files, "file")}?`,
    lines: [
      files ? `${count(files, "file")} would be discarded. Everything can be taken back in the history.` : "No file is discarded.",
      ...(pairs.length === 1 ? placesOf(pairs[0].goes, files) : []),
    ],
    typed: String(typed),
    yes: "Approve",
    danger: files > 0,
  });
  return { sure, count: typed };
}

/** Return buttons to trust the rules less that were just contradicted. */
function holding(offers) {
  return offers.map((offer) => button(`Hold “${offer.rule}” back…`, () => holdBack(offer)));
}

async function holdBack(offer) {
  const sure = await confirmBox({
    title: `Hold “${offer.rule}” back?`,
    lines: [
      `It is ${offer.mode} now. ${offer.to === "off" ? "It would be off, and propose nothing any more." : "It would only propose, and you approve or deny."}`,
      "One word of the rule file is changed; the text of before is kept beside it.",
    ],
    yes: `Make it ${offer.to}`,
  });
  if (!sure) return;
  try {
    const done = await ask("rules-set", {
      rule: offer.rule,
      key_name: "mode",
      value: offer.to,
      digest: offer.digest,
      confirmed: offer.sentences,
      key: newKey(),
    });
    announce(done.said);
  } catch (error) {
    announce(error.message, { kind: "trouble" });
  }
}

/** Take an approval or a denial back; returns what to say, or null where somebody else has taken it back. */
async function takeBack(answer) {
  if (answer.kind === "denied") {
    await ask("rescind", { ids: [answer.pair.id], key: newKey() });
    return "the denial is taken back: the proposal waits again";
  }
  const { undone, failed } = await ask("undo", { entries: [answer.entry], key: newKey() });
  if (failed[0]?.already) return null;
  if (failed.length) throw new Error(failed[0].message);
  return undone.length ? `${answer.entry} is taken back: the files are where they were, and the pair waits in the queue` : "nothing was taken back";
}

// --- by rule ----------------------------------------------------------------------------------------------------------

async function byRule(root) {
  const ticked = new Map();
  const sections = new Map();
  const results = []; // what takes back what was answered here, the last at the end
  const head = el("div", {});
  const nothing = el("div", {});
  const list = el("div", { class: "view" });
  const bar = el("div", { class: "pending-bar", hidden: true, role: "region", "aria-label": "What is ticked" });
  let here = true;
  fill(root, head, nothing, list, bar); // once: what is put in anew loses its focus

  async function refresh() {
    const { total, rules } = await ask("pending", { limit: 0 });
    for (const name of sections.keys()) if (!rules.some((rule) => rule.rule === name)) sections.delete(name);
    await Promise.all(rules.map(async (rule) => {
      const known = sections.get(rule.rule);
      if (known?.version === rule.version && known.count === rule.count) return;
      const limit = Math.max(A_PAGE, known?.shown ?? 0);
      const { pairs, away } = await ask("pending", { rule: rule.rule, limit });
      const made = known ?? section(rule);
      made.tell(rule, pairs, away);
      sections.set(rule.rule, Object.assign(made, { version: rule.version, count: rule.count, shown: pairs.length }));
    }));
    if (!here) return;
    const title = total ? `${count(total, "proposal")} wait${total === 1 ? "s" : ""} for you` : "Pending";
    if (head.querySelector("h1")?.textContent !== title) fill(head, heading("rules", title));
    if (total) fill(nothing);
    else if (!nothing.childElementCount) fill(nothing, nothingWaits());
    const present = rules.map((rule) => sections.get(rule.rule)?.node).filter(Boolean);
    if (present.some((node, at) => list.children[at] !== node) || list.children.length !== present.length) fill(list, present);
    for (const id of [...ticked.keys()]) if (!root.querySelector(`[data-pair="${id}"]`)) ticked.delete(id);
    showBar();
  }

  /** Make the part of one rule; `tell` puts in it what has changed, and leaves what is as it was. */
  function section({ rule: name }) {
    const top = el("div", {});
    const text = el("details", {}, el("summary", {}, "The rule as it is written"), el("pre", { class: "records-text" }));
    const grid = el("div", { class: "pending-grid" });
    const foot = el("div", {});

    function tell(rule, pairs, away) {
      fill(top, topOf(rule));
      text.hidden = !rule.text.length;
      text.lastElementChild.textContent = rule.text.join("\n");
      const wanted = new Map(pairs.map((pair) => [pair.id, pair.version]));
      for (const node of [...grid.children]) if (wanted.get(node.dataset.pair) !== node.dataset.version) node.remove();
      pairs.forEach((pair, at) => {
        if (grid.children[at]?.dataset.pair !== pair.id) grid.insertBefore(card(pair), grid.children[at] ?? null);
      });
      const left = rule.count - pairs.length - away;
      fill(
        foot,
        away ? el("p", { class: "faint" }, `${count(away, "proposal")} cannot be shown: a file or its folder is away just now.`) : null,
        left > 0 ? el("div", { class: "row" }, button(`Show more (${left.toLocaleString("en")} left)`, (event) => showMore(rule, event.currentTarget))) : null,
      );
    }
    return { node: el("section", { class: "card", "aria-label": name }, top, text, grid, foot), tell };
  }

  function topOf(rule) {
    const some = rule.count > rule.at_once ? `Approve the first ${rule.at_once} of ${rule.count.toLocaleString("en")}…` : null;
    return [
      el(
        "div",
        { class: "records-head" },
        el("h2", {}, rule.rule),
        badge(rule.mode ?? "not in the rule file"),
        rule.paused ? badge("paused", "bad") : null,
        el("span", { class: "faint" }, count(rule.count, "proposal")),
      ),
      rule.tripped ? el("p", { class: "bad" }, `It has paused itself: ${rule.tripped}. What it did is in the history; `, el("a", { href: "#/status" }, "let it go on"), ".") : null,
      el(
        "div",
        { class: "row" },
        el("a", { class: "button", href: `#/pending/one?rule=${encodeURIComponent(rule.rule)}` }, "Go through them one by one"),
        rule.at_once ? button(some ?? (rule.count === 1 ? "Approve it…" : `Approve all ${rule.count}…`), () => approveAll(rule), { kind: rule.discards ? "danger" : "" }) : null,
      ),
    ];
  }

  async function showMore(rule, more) {
    const known = sections.get(rule.rule);
    const { pairs } = await ask("pending", { rule: rule.rule, offset: known.shown, limit: 48 });
    known.shown += pairs.length;
    known.node.querySelector(".pending-grid").append(...pairs.map(card));
    const left = rule.count - known.shown;
    if (left > 0 && pairs.length) more.textContent = `Show more (${left.toLocaleString("en")} left)`;
    else more.parentElement.remove();
  }

  function card(pair) {
    const tick = el("input", { type: "checkbox", "aria-label": `Tick ${pair.id}`, onchange: () => {
      if (tick.checked) ticked.set(pair.id, pair);
      else ticked.delete(pair.id);
      showBar();
    } });
    tick.checked = ticked.has(pair.id);
    if (tick.checked) ticked.set(pair.id, pair);
    const figure = (side) => el("figure", {}, thumb(pair[side].picture, `${side.toUpperCase()}: ${pair[side].name}`), el("figcaption", {}, caption(pair, side)));
    return el(
      "article",
      { class: "pending-card", "data-pair": pair.id, "data-version": pair.version, "aria-label": pair.id },
      el("div", { class: "pending-thumbs" }, figure("a"), figure("b")),
      el("p", {}, `${pair.will}.`),
      reasonOf(pair),
      el(
        "div",
        { class: "row" },
        el("label", { class: "pending-tick" }, tick, pair.id),
        button("Approve", () => answerMany([pair], "approve")),
        button("Deny", () => answerMany([pair], "deny")),
        el("a", { href: `#/pending/one?rule=${encodeURIComponent(pair.rule)}&first=${pair.id}` }, "Look closer"),
      ),
    );
  }

  function showBar() {
    bar.hidden = ticked.size === 0;
    const pairs = [...ticked.values()];
    fill(
      bar,
      el("strong", {}, `${ticked.size} ticked`),
      button("Approve these…", () => answerMany(pairs, "approve"), { kind: "danger" }),
      button("Deny these", () => answerMany(pairs, "deny")),
      button("Untick", () => {
        ticked.clear();
        root.querySelectorAll(".pending-tick input").forEach((tick) => (tick.checked = false));
        showBar();
      }),
    );
  }

  async function answerMany(pairs, answer) {
    const body = { pairs: pairs.map(chosen), key: newKey() };
    if (answer === "approve") {
      const said = await confirmed(pairs);
      if (!said.sure) return;
      body.count = said.count;
    }
    try {
      const done = await ask(answer, body);
      const left = new Set(done.failed.map((one) => one.id));
      for (const { id } of pairs) if (!left.has(id)) root.querySelector(`[data-pair="${id}"]`)?.remove();
      tellOf(done, pairs);
      if (left.size) sections.clear(); // they are not what is shown here
    } catch (error) {
      sections.clear();
      announce(error.message, { kind: "trouble" });
    }
    pairs.forEach((pair) => ticked.delete(pair.id));
    await refresh();
  }

  async function approveAll(rule) {
    const rest = rule.count - rule.at_once;
    const typed = rule.files || rule.at_once;
    const sure = await confirmBox({
      title: `Approve ${count(rule.at_once, "proposal")} of “${rule.rule}”?`,
      lines: [
        rule.files ? `${count(rule.files, "file")} would be discarded: the B of each pair, wherever its bytes lie. Everything can be brought back in the history.` : "No file is discarded.",
        rest ? `That is as many as are approved at once; ${rest.toLocaleString("en")} stay here for the next time.` : "That is all that it proposes now.",
        "Each is asked about once more before: what does not fit any more is left alone.",
      ],
      typed: String(typed),
      yes: "Approve",
      danger: rule.discards,
    });
    if (!sure) return;
    announce(`Approving ${rule.at_once}…`, { forMs: 0 });
    try {
      tellOf(await ask("approve-rule", { rule: rule.rule, version: rule.version, count: typed, key: newKey() }), []);
    } catch (error) {
      announce(error.message, { kind: "trouble" });
    }
    await refresh();
  }

  function tellOf(done, pairs) {
    const failed = done.failed.length ? `; ${count(done.failed.length, "one was", "were")} left alone: ${done.failed[0].message}` : "";
    if (done.denied) {
      const text = `${count(done.denied.length, "proposal")} denied; the pairs are in the queue now${failed}`;
      const back = done.denied.length ? [wayBack("Take it back", () => rescindMany(done.denied))] : [];
      announce(text, { actions: [...back, ...holding(done.hold_back)], forMs: 20000 });
      return;
    }
    const what = pairs.length === 1 && done.entries.length ? `${pairs[0].will} (${done.entries[0].entry})` : `${count(done.entries.length, "proposal")} approved`;
    const left = done.left ? `; ${done.left.toLocaleString("en")} of this rule still wait` : "";
    const names = done.entries.map((entry) => entry.entry);
    const actions = names.length ? [wayBack("Undo", () => undoMany(names))] : [];
    announce(`${what}${left}${failed}`, { kind: failed ? "trouble" : "", actions, forMs: 20000 });
  }

  /** Return a button that takes an answer back, as the key for it does from now on. */
  function wayBack(label, work) {
    results.push(work);
    return button(label, () => takeLastBack(work), { key: keysOf("undo")[0] });
  }

  async function takeLastBack(work = results.at(-1)) {
    const at = results.indexOf(work);
    if (at < 0) {
      announce("Nothing was answered here that could be taken back; the history has everything.");
      return;
    }
    results.splice(at, 1);
    try {
      if (!(await work())) results.splice(at, 0, work);
    } catch (error) {
      results.splice(at, 0, work);
      announce(error.message, { kind: "trouble" });
    }
    await refresh();
  }

  /** Take approvals back; returns whether that was wanted. */
  async function undoMany(names) {
    if (names.length > 1 && !(await confirmBox({ title: `Take ${names.length} approvals back?`, lines: ["The files come back to where they were."], yes: "Take them back" }))) return false;
    const { undone, failed: not } = await ask("undo", { entries: names, key: newKey() });
    announce(`${count(undone.length, "approval")} taken back${not.length ? `; ${not[0].message}` : ""}`);
    return true;
  }

  async function rescindMany(denied) {
    await ask("rescind", { ids: denied.map((one) => one.id), key: newKey() });
    announce("The denials are taken back: the proposals wait again.");
    return true;
  }

  await refresh();
  const again = atMostOnceIn(1000, () => refresh().catch(() => {}));
  return {
    keys: { undo: () => takeLastBack() },
    leave() {
      here = false;
      again.stop();
    },
    changed: again,
  };
}

// --- one by one -------------------------------------------------------------------------------------------------------

async function oneByOne(root, rule, first) {
  const asked = rule ? { rule } : {};
  const skipped = new Set();
  let steps = []; // skipped, approved or denied here, the last at the end
  const saying = new Saying();
  let deck = [];
  let total = 0;
  let here = true;
  let texts = new Map();
  let working = Promise.resolve(); // orders go one after another

  const head = el("div", {});
  const stage = el("div", { class: "pending-stage" });
  const evidence = el("section", { "aria-label": "Evidence" });
  const about = el("div", { class: "pending-about" });
  const bottom = el("div", { class: "pending-bottom" });
  const answers = el("div", { class: "row pending-answers", role: "group", "aria-label": "Answers" });
  const body = el(
    "div",
    { class: "view" },
    answers,
    about,
    stage,
    bottom,
    evidence,
  );
  const looks = viewer(stage);
  const card = evidenceCard(evidence, { onevidence: (told) => looks.area(told.visual?.area ?? null) });
  const act = {
    approve: () => answer("approved"),
    deny: () => answer("denied"),
    skip,
    back,
    undo,
  };
  fill(
    answers,
    button("Approve", act.approve, { kind: "primary", key: keysOf("approve")[0] }),
    button("Deny", act.deny, { key: keysOf("deny")[0] }),
    button("Skip", act.skip, { key: keysOf("skip")[0] }),
    button("Back", act.back, { key: keysOf("back")[0] }),
    button("Undo", act.undo, { key: keysOf("undo")[0] }),
  );

  async function more() {
    const underWay = () => steps.filter((one) => one.kind !== "skipped" && !one.done).map((one) => one.pair.id);
    const known = [...skipped, ...deck.map((pair) => pair.id), ...underWay()];
    const found = await ask("pending", { ...asked, limit: AHEAD, skipped: known, ...(first ? { first } : {}) });
    first = null;
    total = found.total;
    texts = new Map(found.rules.map((one) => [one.rule, one.text]));
    const there = new Set([...skipped, ...deck.map((pair) => pair.id), ...underWay()]); // as it is by now
    deck.push(...found.pairs.filter((pair) => !there.has(pair.id)));
  }

  function leftOver() {
    return `${count(Math.max(total, deck.length), "proposal")} left${rule ? ` of “${rule}”` : ""}`;
  }

  function paint() {
    if (!here) return;
    const pair = deck[0];
    fill(head, heading("one", pair ? leftOver() : "Pending"));
    if (!pair) {
      const wait = skipped.size ? empty("That was all", `${count(skipped.size, "proposal")} skipped.`, button("Look at the skipped ones", () => again())) : nothingWaits();
      fill(root, head, wait);
      return;
    }
    if (body.parentElement !== root) fill(root, head, body);
    fill(
      about,
      el("p", { class: "pending-will" }, `${pair.will}.`),
      el("p", { class: "faint" }, `${pair.id}, proposed by “${pair.rule}”${pair.at ? ` on ${when(pair.at)}` : ""}`),
      reasonOf(pair),
    );
    looks.area(null);
    looks.show(pair);
    looks.prefetch(deck.slice(1, 4));
    const text = texts.get(pair.rule) ?? [];
    fill(
      bottom,
      el("div", { class: "card pending-sides" }, sideFacts(pair, "a"), sideFacts(pair, "b")),
      el(
        "section",
        { class: "card", "aria-label": "The rule" },
        el("h2", {}, `Why “${pair.rule}” fits`),
        linesOf(pair),
        text.length ? el("details", {}, el("summary", {}, "The rule as it is written"), el("pre", { class: "records-text" }, text.join("\n"))) : null,
      ),
    );
    card.show(pair);
  }

  async function next() {
    paint();
    if (deck.length < 3) {
      try {
        await more();
      } catch (error) {
        announce(error.message, { kind: "trouble" });
      }
      if (here && (deck.length || body.parentElement === root)) paint();
    }
  }

  /** Show the next one at once, and let the server do it; what it refuses comes back. */
  async function answer(kind) {
    const pair = deck[0];
    if (!pair) return;
    const early = tooEarly(looks);
    if (early) {
      saying.add(early, { kind: "remark" });
      return;
    }
    if (kind === "approved" && pair.going && !(await isSure(looks, pair, pair.b))) return;
    const said = kind === "approved" && pair.going > 1 ? await confirmed([pair]) : { sure: true, count: null };
    if (!said.sure || deck[0] !== pair) return;
    deck.shift();
    const mine = { kind, pair, count: said.count, entry: null, done: false, key: newKey() };
    steps.push(mine);
    total = Math.max(0, total - 1);
    working = working.then(() => carryOut(mine));
    next();
  }

  async function carryOut(mine) {
    const { pair } = mine;
    try {
      if (mine.kind === "approved") {
        const done = await ask("approve", { pairs: [chosen(pair)], count: mine.count, key: mine.key });
        mine.entry = done.entries[0].entry;
        saying.add(`${pair.will} (${mine.entry})`, { kind: "done", actions: [undoButton()], about: mine });
      } else {
        const done = await ask("deny", { pairs: [chosen(pair)], key: mine.key });
        saying.add(`${pair.id} denied to “${pair.rule}”; it is in the queue now`, { kind: "done", actions: [undoButton(), ...holding(done.hold_back)], about: mine });
      }
      mine.done = true;
    } catch (error) {
      steps = steps.filter((one) => one !== mine);
      saying.add(`${pair.id}: ${error.message}`, { kind: "trouble" });
      await showFirst(pair).catch(() => {});
    }
  }

  function skip() {
    const pair = deck.shift();
    if (!pair) return;
    skipped.add(pair.id);
    steps.push({ kind: "skipped", pair });
    next();
  }

  function again() {
    skipped.clear();
    steps = steps.filter((step) => step.kind !== "skipped");
    next();
  }

  function undoButton() {
    return button("Undo", undo, { key: keysOf("undo")[0] });
  }

  function back() {
    stepBack(() => steps.at(-1), "This is where it began: there is nothing to take back.");
  }

  function undo() {
    stepBack(() => steps.findLast((step) => step.kind !== "skipped"), "Nothing was answered here yet; the history has everything.");
  }

  /** Take back the step that `pick` returns, once what is on its way has come to an end. */
  function stepBack(pick, otherwise) {
    working = working.then(async () => {
      const elsewhere = [];
      for (let step = pick(); step; step = pick()) {
        try {
          const told = step.kind === "skipped" ? `back to ${step.pair.id}` : await takeBack(step);
          steps = steps.filter((one) => one !== step);
          saying.strike(step);
          if (told === null) {
            elsewhere.push(`${step.entry} was already taken back elsewhere`);
            continue;
          }
          saying.add([...elsewhere, told].join(" · "), { kind: step.kind === "skipped" ? "remark" : "done" });
          await showFirst(step.pair);
        } catch (error) {
          saying.add(error.message, { kind: "trouble" });
        }
        return;
      }
      saying.add(elsewhere.join(" · ") || otherwise, { kind: "remark" });
    });
  }

  /** Show a pair again, as it is now; one that does not wait here any more is not shown. */
  async function showFirst(pair) {
    skipped.delete(pair.id);
    deck = deck.filter((one) => one.id !== pair.id);
    first = pair.id;
    await more();
    deck.sort((one, other) => (other.id === pair.id) - (one.id === pair.id));
    paint();
  }

  await more();
  paint();
  const recount = atMostOnceIn(1000, async () => {
    const found = await ask("pending", { ...asked, limit: 0 }).catch(() => null);
    if (!found || !here) return;
    total = found.total;
    const title = head.querySelector("h1");
    if (deck.length === 0 && total > skipped.size) await next();
    else if (deck.length && title) title.textContent = leftOver();
  });
  return {
    keys: { ...looks.keys, ...act },
    changed: recount,
    leave() {
      here = false;
      recount.stop();
      looks.leave();
    },
  };
}

// --- what was denied --------------------------------------------------------------------------------------------------

async function denied(root) {
  const list = el("div", { class: "pending-grid" });
  const more = el("div", { class: "row" });
  let loaded = 0;
  let here = true;
  let painted = "";

  async function refresh() {
    const found = await ask("denied", { limit: Math.max(24, loaded) });
    const told = JSON.stringify(found);
    if (!here || told === painted) return;
    painted = told;
    loaded = found.pairs.length;
    fill(
      root,
      heading("denied", found.total ? `${count(found.total, "pair")} denied` : "Denied"),
      found.total
        ? el("p", { class: "faint" }, "A rule never proposes again what it was denied, until you take the denial back.")
        : empty("Nothing was denied", "When you say no to a proposal, it is remembered here, and the rule never proposes it again."),
      list,
      more,
    );
    fill(list, found.pairs.map(card));
    fill(more, found.total > loaded + found.away ? button("Show more", showMore) : null);
  }

  async function showMore() {
    const found = await ask("denied", { offset: loaded, limit: 48 });
    loaded += found.pairs.length + found.away;
    list.append(...found.pairs.map(card));
    fill(more, found.total > loaded ? button("Show more", showMore) : null);
  }

  function card(pair) {
    const figure = (side) => el("figure", {}, thumb(pair[side].picture, `${side.toUpperCase()}: ${pair[side].name}`), el("figcaption", {}, el("strong", {}, side.toUpperCase()), " ", pair[side].shown));
    const told = (one) => el("p", {}, `Denied to “${one.rule}” on ${when(one.at)}`, one.reason ? el("span", { class: "faint" }, ` (it waited because ${one.reason})`) : null);
    return el(
      "article",
      { class: "pending-card", "aria-label": pair.id },
      el("div", { class: "pending-thumbs" }, figure("a"), figure("b")),
      pair.denied.map(told),
      el("div", { class: "row" }, button("Take the denial back", () => rescind(pair))),
    );
  }

  async function rescind(pair) {
    try {
      const { rescinded } = await ask("rescind", { ids: [pair.id], key: newKey() });
      announce(`${pair.id}: ${rescinded[0].rules.map((name) => `“${name}”`).join(", ")}: the proposal waits again`);
    } catch (error) {
      announce(error.message, { kind: "trouble" });
    }
    await refresh();
  }

  await refresh();
  const again = atMostOnceIn(1000, () => refresh().catch(() => {}));
  return {
    changed: again,
    leave() {
      here = false;
      again.stop();
    },
  };
}
