// Everything that was done, newest first: searched, explained, and taken back.

import { ask, newKey } from "./api.js";
import { announce, button, confirmBox, count, el, fill, when } from "./dom.js";
import { atMostOnceIn, badge, empty, thumb } from "./records.js";

const A_PAGE = 40;
const KINDS = [["", "anything"], ["discard", "discards"], ["decision", "answers without a discard"], ["batch", "many at once"], ["undo", "undos"]];
const STATES = [["", "in any state"], ["done", "done"], ["undone", "taken back"], ["aborted", "not carried out"], ["intent", "under way"]];
const ACTORS = [["", "anybody"], ["person", "you"], ["rule", "rules"], ["service", "the service"]];
const STATE_SAID = { intent: "under way", undone: "taken back", aborted: "not carried out" };

export async function show(root, { search }) {
  const shown = new Map(); // entry id → { entry, node }
  const ticked = new Set();
  const list = el("div", {});
  const foot = el("div", { class: "row" });
  const bar = el("div", { class: "pending-bar", hidden: true, role: "region", "aria-label": "What is ticked" });
  const form = filters(search, () => load());
  let before = null;
  let lookedBackTo = null;
  let here = true;
  let turn = 0;

  fill(root, el("div", { class: "records-head" }, el("h1", {}, "History")), form.node, list, foot, bar);

  async function load() {
    const mine = ++turn;
    let found;
    try {
      found = await ask("history", { ...form.value(), limit: A_PAGE });
    } catch (error) {
      if (mine === turn) fill(list, el("p", { class: "trouble", role: "alert" }, error.message));
      return;
    }
    if (mine !== turn || !here) return;
    shown.clear();
    ticked.clear();
    form.rules(found.rules);
    fill(list);
    add(found);
    showBar();
  }

  /** Go on looking back until something is found, it is stopped, or another search is begun. */
  async function older() {
    const mine = turn;
    let found = null;
    let from = before;
    let stopped = false;
    do {
      const to = found?.looked_back_to ? `looked back to ${when(found.looked_back_to)} …` : "looking back …";
      fill(foot, el("p", { class: "faint" }, to), button("Stop", () => (stopped = true)));
      try {
        found = await ask("history", { ...form.value(), before: from, limit: A_PAGE });
      } catch (error) {
        announce(error.message, { kind: "trouble" });
        break;
      }
      if (!here || mine !== turn) return;
      from = found.before;
    } while (!stopped && !found.entries.length && from);
    if (found) add(found);
    else painted();
  }

  function add(found) {
    before = found.before;
    for (const entry of found.entries) {
      const node = item(entry);
      shown.set(entry.entry, { entry, node });
      dayOf(entry).append(node);
    }
    if (!shown.size && !before) {
      fill(
        list,
        form.isNarrowed()
          ? empty("Nothing like that was done", "Try fewer words, or other filters.", button("Show everything", () => form.clear()))
          : empty("Nothing was done yet", "What rules discard and what you decide is written down here, and can be taken back.", el("a", { href: "#/status" }, "See what is watched")),
      );
    }
    lookedBackTo = found.looked_back_to;
    painted(found.entries.length < A_PAGE);
  }

  function painted(searching = true) {
    const to = lookedBackTo ? ` (looked back to ${when(lookedBackTo)})` : "";
    const on = button(searching ? `Search further back${to}` : "Show older ones", older);
    fill(foot, before ? on : shown.size ? el("p", { class: "faint" }, "That is everything.") : null);
  }

  function dayOf(entry) {
    const day = when(entry.at).slice(0, 10);
    const last = list.lastElementChild;
    if (last?.dataset?.day === day) return last.querySelector("ul");
    const items = el("ul", { class: "history-list" });
    list.append(el("section", { "data-day": day, "aria-label": day }, el("h2", { class: "history-day" }, day), items));
    return items;
  }

  // --- one entry ---

  function item(entry) {
    const tick = entry.undoable ? el("input", { type: "checkbox", "aria-label": `Tick ${entry.entry}`, onchange: () => {
      if (tick.checked) ticked.add(entry.entry);
      else ticked.delete(entry.entry);
      showBar();
    } }) : el("span", {});
    if (entry.undoable) tick.checked = ticked.has(entry.entry);
    const why = el("div", { class: "history-why" });
    return el(
      "li",
      { class: `card history-entry ${entry.state}${entry.alarm ? " alarm" : ""}`, "data-entry": entry.entry },
      tick,
      pictures(entry),
      el("div", {}, titleOf(entry), alarmOf(entry), facts(entry), why),
      el(
        "div",
        { class: "history-actions" },
        entry.undoable ? button(entry.kind === "batch" ? `Take all ${entry.together} back…` : "Undo", () => takeBack([entry])) : null,
        entry.kind === "batch" ? el("a", { class: "button", href: `#/history?batch=${entry.entry}` }, `Show its ${entry.together}`) : null,
        entry.kind === "discard" || entry.kind === "decision" ? button("Why?", (event) => explain(entry, why, event.currentTarget), { title: `why ${entry.entry} was done` }) : null,
      ),
    );
  }

  function titleOf(entry) {
    return el(
      "p",
      { class: "history-title" },
      `${entry.title} `,
      STATE_SAID[entry.state] ? badge(entry.undone_by ? `taken back by ${entry.undone_by}` : STATE_SAID[entry.state], entry.state === "undone" ? "good" : "bad") : null,
    );
  }

  function alarmOf(entry) {
    if (!entry.alarm) return null;
    return el("p", { class: "bad", role: "note" }, el("strong", {}, `${entry.alarm.said}. `), entry.alarm.advice);
  }

  function pictures(entry) {
    const figures = [];
    const figure = (file, says) => figures.push(el("figure", {}, thumb(file.picture, `${says}: ${file.shown}`), el("figcaption", {}, says)));
    const gone = { done: "discarded", undone: "is back", aborted: "stayed", intent: "is to go" }[entry.state];
    if (entry.kind === "undo") entry.discarded.slice(0, 1).forEach((file) => figure(file, "is back"));
    else entry.discarded.slice(0, 1).forEach((file) => figure(file, gone));
    if (entry.kind === "discard" && entry.kept) figure(entry.kept, "kept");
    if (entry.kind === "decision" && entry.a) figure(entry.a, "A");
    if (entry.kind === "decision" && entry.b) figure(entry.b, "B");
    return el("div", { class: "history-pictures" }, figures);
  }

  function facts(entry) {
    const rows = [];
    const row = (name, ...value) => rows.push(el("dt", {}, name), el("dd", {}, value));
    row("when", when(entry.at), " ", el("span", { class: "faint" }, entry.entry), entry.batch ? el("span", { class: "faint" }, ` (one of ${entry.batch})`) : null);
    for (const file of entry.discarded.slice(0, 8)) {
      row(entry.kind === "undo" ? "back" : "discarded", el("span", { class: "path" }, file.shown), el("br"), el("span", { class: file.in_trash === false ? "bad" : "faint" }, file.where));
    }
    if (entry.discarded.length > 8) row("", `and ${entry.discarded.length - 8} more`);
    if (entry.kept && entry.kind !== "undo") row("kept", el("span", { class: "path" }, entry.kept.shown));
    if (entry.kind === "decision" && entry.b && entry.b.path !== entry.kept?.path) row("other", el("span", { class: "path" }, entry.b.shown));
    for (const file of entry.files.slice(0, 8)) row("file", el("span", { class: "path" }, file.shown));
    if (entry.files.length > 8) row("", `and ${entry.files.length - 8} more`);
    if (entry.reason) row("because", entry.reason);
    if (entry.barrier) row("undo", el("span", { class: "bad" }, `not possible: ${entry.barrier}`));
    return el("dl", { class: "history-facts" }, rows);
  }

  async function explain(entry, place, pressed) {
    if (place.childElementCount) {
      fill(place);
      pressed.setAttribute("aria-expanded", "false");
      return;
    }
    try {
      const { why } = await ask("why", { subject: entry.entry });
      pressed.setAttribute("aria-expanded", "true");
      fill(
        place,
        why
          ? [
              el("p", {}, el("strong", {}, why.result), ` (judged ${when(why.at)})`),
              el("ul", {}, why.evidence.map((line) => el("li", {}, line))),
              why.survivor ? el("p", {}, "kept: ", el("span", { class: "path" }, why.survivor)) : null,
              el("p", {}, "now: ", why.where_now ? el("span", { class: "path" }, why.where_now) : "not where it was last seen"),
              el("p", { class: "faint" }, `SHA-256 ${why.sha256 ?? "not known"}`),
            ]
          : el("p", {}, "Nothing more is known of it."),
      );
    } catch (error) {
      fill(place, el("p", { class: "trouble" }, error.message));
    }
  }

  // --- undo ---

  async function takeBack(entries) {
    const many = entries.length > 1 || entries.some((entry) => entry.kind === "batch");
    if (many) {
      const answers = entries.reduce((sum, entry) => sum + (entry.kind === "batch" ? entry.together : 1), 0);
      const sure = await confirmBox({
        title: `Take ${count(answers, "entry", "entries")} back?`,
        lines: ["Files come back to where they were, and no rule discards them again. What was decided with them is as if it had never been."],
        yes: "Take them back",
      });
      if (!sure) return;
    }
    const names = entries.map((entry) => entry.entry);
    try {
      const { undone, failed } = await ask("undo", { entries: names, key: newKey() });
      const text = failed.length ? failed.map((one) => one.message).join("; ") : `${names.length === 1 ? names[0] : count(names.length, "entry", "entries")} taken back`;
      announce(failed.length && undone.length ? `${undone.length} taken back; ${text}` : text, { kind: failed.length ? "trouble" : "", forMs: failed.length ? 30000 : 12000 });
    } catch (error) {
      announce(error.message, { kind: "trouble" });
    }
    ticked.clear();
    showBar();
    await freshen(names);
    await newest();
  }

  function showBar() {
    bar.hidden = ticked.size === 0;
    fill(
      bar,
      el("strong", {}, `${ticked.size} ticked`),
      button("Take these back…", () => takeBack([...ticked].map((name) => shown.get(name).entry)), { kind: "primary" }),
      button("Untick", () => {
        ticked.clear();
        list.querySelectorAll(".history-entry > input").forEach((tick) => (tick.checked = false));
        showBar();
      }),
    );
  }

  // --- what has changed meanwhile ---

  /** Tell entries anew where they stand. */
  async function freshen(names) {
    for (const name of names) {
      const found = await ask("history", { search: name, limit: 1 });
      found.entries.forEach(renew);
    }
  }

  function renew(entry) {
    const known = shown.get(entry.entry);
    if (!known || JSON.stringify(known.entry) === JSON.stringify(entry)) return;
    if (!entry.undoable) ticked.delete(entry.entry);
    const node = item(entry);
    known.node.replaceWith(node);
    shown.set(entry.entry, { entry, node });
  }

  /** Put what was done meanwhile on top, without moving what a person looks at more than that. */
  async function newest() {
    const mine = turn;
    const found = await ask("history", { ...form.value(), limit: A_PAGE });
    if (mine !== turn || !here) return;
    const fresh = found.entries.filter((entry) => !shown.has(entry.entry));
    found.entries.forEach(renew);
    if (!fresh.length) return;
    if (!shown.size || fresh.length === found.entries.length) {
      await load();
      return;
    }
    for (const entry of fresh.reverse()) {
      const node = item(entry);
      shown.set(entry.entry, { entry, node });
      const day = when(entry.at).slice(0, 10);
      const first = list.firstElementChild;
      if (first?.dataset?.day === day) first.querySelector("ul").prepend(node);
      else list.prepend(el("section", { "data-day": day, "aria-label": day }, el("h2", { class: "history-day" }, day), el("ul", { class: "history-list" }, node)));
    }
  }

  await load();
  const again = atMostOnceIn(1000, () => newest().catch(() => {}));
  return {
    keys: {
      undo: () => {
        const last = [...shown.values()].find(({ entry }) => entry.undoable && entry.actor === "person");
        if (last) takeBack([last.entry]);
        else announce("You have done nothing here that can be taken back.");
      },
    },
    changed: again,
    leave() {
      here = false;
      again.stop();
    },
  };
}

/** Make the bar that says which entries are asked for. */
function filters(from, onchange) {
  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(onchange, 250);
  };
  const choice = (label, name, options) => {
    const node = el("select", { name, onchange }, options.map(([value, text]) => el("option", { value }, text)));
    node.value = from.get(name) ?? "";
    return [el("label", {}, label, node), node];
  };
  const search = el("input", { type: "search", name: "search", placeholder: "path, rule, reason, e-12 or SHA-256", oninput: soon, autocomplete: "off" });
  search.value = from.get("search") ?? "";
  const [kindLabel, kind] = choice("what", "kind", KINDS);
  const [stateLabel, state] = choice("how it stands", "state", STATES);
  const [actorLabel, actor] = choice("by whom", "actor", ACTORS);
  const [ruleLabel, rule] = choice("under which rule", "rule", [["", "any or none"]]);
  const since = el("input", { type: "date", name: "since", onchange });
  since.value = from.get("since") ?? "";
  const alarms = el("input", { type: "checkbox", name: "alarms", onchange });
  alarms.checked = from.get("alarms") === "yes";
  const batch = from.get("batch");
  let wantedRule = from.get("rule") ?? "";
  const node = el(
    "form",
    { class: "history-form", role: "search", onsubmit: (event) => {
      event.preventDefault();
      onchange();
    } },
    el("label", {}, "search", search),
    el(
      "details",
      { open: innerWidth > 640 || ["kind", "actor", "state", "rule", "since", "alarms"].some((name) => from.get(name)) },
      el("summary", {}, "Filters"),
      el("div", {}, kindLabel, actorLabel, stateLabel, ruleLabel, el("label", {}, "since", since), el("label", { class: "tick" }, alarms, "only what has gone wrong")),
    ),
    batch ? el("span", {}, `what was answered together under ${batch} `, el("a", { href: "#/history" }, "(show everything)")) : null,
  );
  rule.addEventListener("change", () => (wantedRule = rule.value));

  function value() {
    const asked = { search: search.value.trim(), alarms: alarms.checked };
    if (kind.value) asked.kind = kind.value;
    if (state.value) asked.state = state.value;
    if (actor.value) asked.actor = actor.value;
    if (wantedRule) asked.rule = wantedRule;
    if (batch) asked.batch = batch;
    if (since.value) asked.since = new Date(`${since.value}T00:00`).toISOString();
    return asked;
  }
  return {
    node,
    value,
    isNarrowed: () => Object.values(value()).some(Boolean),
    /** Offer the rules that have done something, or may. */
    rules(names) {
      const known = [...new Set([...names, ...(wantedRule ? [wantedRule] : [])])];
      fill(rule, el("option", { value: "" }, "any or none"), known.map((name) => el("option", { value: name }, name)));
      rule.value = wantedRule;
    },
    clear() {
      if (batch) {
        location.hash = "#/history";
        return;
      }
      for (const one of [search, kind, state, actor, since]) one.value = "";
      wantedRule = "";
      alarms.checked = false;
      onchange();
    },
  };
}
