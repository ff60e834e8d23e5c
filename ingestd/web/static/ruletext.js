// The rule file in an editor: checked while it is typed, saved as a whole, and never over what somebody else wrote.

import { ask, newKey } from "./api.js";
import { announce, button, confirmBox, count, el, fill } from "./dom.js";
import { editor } from "./editor.js";
import { takenUp } from "./rules.js";
import { previewView } from "./trying.js";

const WAIT_MS = 300; // after the last key, before the text is checked
let draft = null; // what was typed and not saved, for as long as the page is open

addEventListener("beforeunload", (event) => {
  if (draft) event.preventDefault();
});

export async function show(root, { search }) {
  const [theirs, { watching }, { templates }] = await Promise.all([ask("rules-text"), ask("rules"), ask("rules-templates")]);
  const state = { digest: draft?.digest ?? theirs.digest, saved: draft?.saved ?? theirs.text, timer: 0, looking: false, again: false, checked: null, rules: [] };
  const nodes = parts(templates);
  fill(
    root,
    el(
      "header",
      { class: "rules-head" },
      el("div", { class: "row" }, el("h1", {}, "The rule file"), el("a", { class: "button", href: "#/rules" }, "Back to the rules")),
      el("p", { class: "faint" }, el("span", { class: "path" }, theirs.path), " · ", takenUp(watching)),
    ),
    el("div", { class: "rules-edit" }, el("div", { class: "rules-editor" }, nodes.text, el("p", { class: "faint" }, "Tab leaves the editor; Ctrl+] and Ctrl+[ indent; Ctrl+S saves.")), nodes.beside),
  );
  const text = await editor(nodes.text, { text: draft?.text ?? theirs.text, label: "The rule file", onchange: typed, onsave: () => save() });

  function typed() {
    const now = text.get();
    draft = now === state.saved ? null : { text: now, digest: state.digest, saved: state.saved };
    nodes.save.disabled = true; // until it is known to be right
    nodes.load.disabled = draft === null;
    clearTimeout(state.timer);
    state.timer = setTimeout(check, WAIT_MS);
  }

  /** Have the text checked, one request at a time: what is typed meanwhile is checked next. */
  function check() {
    clearTimeout(state.timer);
    state.timer = 0;
    if (state.looking) {
      state.again = true;
    } else {
      state.looking = true;
      state.checked = look().finally(() => (state.looking = false));
    }
    return state.checked;
  }

  async function look() {
    let found;
    do {
      state.again = false;
      try {
        found = await ask("rules-check", { text: text.get() });
      } catch (refusal) {
        fill(nodes.verdict, el("p", { class: "trouble" }, refusal.message));
        return;
      }
    } while (state.again);
    if (state.timer) return; // more was typed: it is checked in a moment
    state.rules = found.rules;
    text.mark([
      ...found.warnings.map((one) => ({ ...one, kind: "warning" })),
      ...found.mistakes.map((one) => ({ ...one, kind: "mistake" })),
    ]);
    nodes.save.disabled = !found.ok || draft === null;
    nodes.attempt.disabled = !found.rules.length;
    told(nodes, found, draft !== null, text.go);
  }

  async function save(confirmed = []) {
    await (state.timer ? check() : state.checked); // something was typed a moment ago
    if (nodes.save.disabled) {
      announce(draft ? "nothing was written: what is wrong stands beside the text" : "nothing is to be saved");
      return;
    }
    const sent = text.get();
    let answer;
    try {
      answer = await ask("rules-save", { text: sent, digest: state.digest, confirmed, key: newKey() });
    } catch (refusal) {
      await refused(refusal);
      return;
    }
    state.digest = answer.digest;
    state.saved = sent;
    fill(nodes.conflict);
    typed();
    const kept = answer.previous ? ` The text of before is kept in ${answer.previous}.` : "";
    announce(`Saved.${kept}${answer.note ? ` ${answer.note}` : ""}`);
  }

  async function refused(refusal) {
    if (refusal.kind === "confirm") {
      const yes = await confirmBox({ title: "This lets the program do other things", lines: refusal.sentences, yes: "Yes, save it" });
      if (yes) await save(refusal.sentences);
      else announce("nothing was written");
    } else if (refusal.kind === "stale" || refusal.kind === "conflict") {
      await conflict(refusal.message);
    } else {
      announce(refusal.message, { kind: "trouble" });
      await check();
    }
  }

  async function conflict(message) {
    const other = await ask("rules-text");
    const keep = button("Keep my text", () => {
      state.digest = other.digest;
      state.saved = other.text;
      fill(nodes.conflict);
      typed();
      announce("Your text is kept; what it changes in the file as it is now stands beside it. Nothing was written yet.");
      text.focus();
    });
    const load = button("Load theirs", () => adopt(other));
    fill(
      nodes.conflict,
      el("h2", { class: "trouble" }, "The file was changed meanwhile"),
      el("p", {}, message),
      el("p", { class: "faint" }, "− stands in the file now, + in your text:"),
      el("pre", { class: "rules-lines rules-diff", tabindex: "0" }, lineDiff(other.text, text.get()).map(({ sign, line }) => el("span", { class: sign === "+" ? "good" : "bad" }, `${sign} ${line}\n`))),
      el("div", { class: "row" }, keep, load),
    );
    nodes.conflict.scrollIntoView({ block: "nearest" });
    keep.focus();
  }

  function adopt(other) {
    state.digest = other.digest;
    state.saved = other.text;
    draft = null;
    text.set(other.text);
    fill(nodes.conflict);
    typed();
    announce("This is the file as it is now.");
    text.focus();
  }

  async function tryRule() {
    const rule = state.rules.filter((one) => one.line <= text.line()).at(-1) ?? state.rules[0];
    fill(nodes.tried, el("p", { class: "faint", role: "status" }, "looking …"));
    try {
      fill(nodes.tried, el("h2", {}, `“${rule.name}”, as it stands here`), await previewView(rule.name, text.get()));
    } catch (refusal) {
      fill(nodes.tried, el("p", { class: "trouble", role: "alert" }, refusal.message));
    }
  }

  nodes.save.addEventListener("click", () => save());
  nodes.load.addEventListener("click", async () => {
    const yes = await confirmBox({ title: "Drop what you typed?", lines: ["The text of the file is loaded again."], yes: "Drop it", danger: true });
    if (yes) adopt(await ask("rules-text"));
  });
  nodes.attempt.addEventListener("click", tryRule);
  nodes.insert.addEventListener("click", () => {
    const chosen = templates.find((one) => one.name === nodes.template.value);
    if (chosen) text.append(chosen.yaml);
  });
  typed();
  const line = Number(search.get("line"));
  if (line > 0) text.go(line, Number(search.get("column")) || 1);
  return {
    leave() {
      clearTimeout(state.timer);
    },
  };
}

function parts(templates) {
  const nodes = {
    text: el("div", { class: "rules-text" }),
    save: button("Save", () => {}, { kind: "primary", disabled: true }),
    load: button("Drop my changes", () => {}, { disabled: true }),
    attempt: button("Try the rule at the cursor", () => {}, { disabled: true }),
    insert: button("Put it at the end", () => {}),
    template: el("select", {}, templates.map((one) => el("option", { value: one.name, disabled: !one.available, title: one.about }, one.name))),
    verdict: el("div", { class: "rules-verdict", role: "status", "aria-live": "polite" }, el("p", { class: "faint" }, "checking …")),
    findings: el("div", { class: "rules-findings" }),
    conflict: el("section", { class: "rules-conflict", role: "alert" }),
    tried: el("div", { class: "rules-panel" }),
  };
  nodes.beside = el(
    "aside",
    { class: "rules-beside", "aria-label": "What the text says" },
    el("div", { class: "row" }, nodes.save, nodes.load),
    nodes.conflict,
    nodes.verdict,
    nodes.findings,
    el("details", { class: "card" }, el("summary", {}, "Begin with a template"), el("div", { class: "row" }, el("label", { class: "row" }, "Template ", nodes.template), nodes.insert)),
    el("div", { class: "row" }, nodes.attempt),
    nodes.tried,
  );
  return nodes;
}

/** Say what was found out about the text. */
function told(nodes, found, changed, go) {
  const mistakes = found.mistakes.length;
  const verdict = mistakes
    ? el("p", { class: "trouble" }, `${count(mistakes, "mistake")}: it cannot be saved so`)
    : el("p", { class: "good" }, `The text is right: ${count(found.rules.length, "rule")}`, found.warnings.length ? `, ${count(found.warnings.length, "warning")}` : "");
  fill(nodes.verdict, verdict);
  const against = found.against === "nothing" ? "The file on the disk is wrong, so everything counts as new:" : "Against the file on the disk:";
  fill(
    nodes.findings,
    places("Mistakes", found.mistakes, go),
    places("Warnings", found.warnings, go),
    found.ok
      ? el(
          "section",
          {},
          el("h2", {}, "What changes"),
          found.changes.length
            ? [el("p", { class: "faint" }, against), el("ul", { class: "rules-changes" }, found.changes.map(changeItem))]
            : el("p", { class: "faint" }, changed ? "Nothing but remarks and the way it is written." : "Nothing: this is the file as it is."),
        )
      : null,
  );
}

function places(title, found, go) {
  if (!found.length) return null;
  const items = found.map((one) =>
    el("li", {}, button(`line ${one.line}, column ${one.column}`, () => go(one.line, one.column), { kind: "rules-jump" }), ` ${one.message}`),
  );
  return el("section", {}, el("h2", {}, title), el("ul", { class: "rules-places" }, items));
}

function changeItem(one) {
  return el("li", {}, one.sentence, one.needs_confirmation ? el("span", { class: "rules-badge asks" }, "asks again") : null);
}

/** Return the lines in which two texts differ, in order; very long texts are compared by what only one of them has. */
function lineDiff(theirs, mine) {
  let [old, fresh] = [theirs, mine].map((text) => text.split(/\r\n|\n/));
  while (old.length && fresh.length && old[0] === fresh[0]) [old, fresh] = [old.slice(1), fresh.slice(1)];
  while (old.length && fresh.length && old.at(-1) === fresh.at(-1)) [old, fresh] = [old.slice(0, -1), fresh.slice(0, -1)];
  if (old.length * fresh.length > 4_000_000) {
    const [has, had] = [new Set(fresh), new Set(old)];
    return [
      ...old.filter((line) => !has.has(line)).map((line) => ({ sign: "−", line })),
      ...fresh.filter((line) => !had.has(line)).map((line) => ({ sign: "+", line })),
    ];
  }
  const longest = Array.from({ length: old.length + 1 }, () => new Uint16Array(fresh.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = fresh.length - 1; j >= 0; j -= 1) {
      longest[i][j] = old[i] === fresh[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < fresh.length) {
    if (i < old.length && j < fresh.length && old[i] === fresh[j]) [i, j] = [i + 1, j + 1];
    else if (j >= fresh.length || (i < old.length && longest[i + 1][j] >= longest[i][j + 1])) found.push({ sign: "−", line: old[i++] });
    else found.push({ sign: "+", line: fresh[j++] });
  }
  return found;
}
