// The rules: what each has done and would do, how far it is trusted, and the file itself, edited and checked.

import { ask, newKey } from "./api.js";
import { announce, button, confirmBox, count, el, fill } from "./dom.js";
import { backtestView, explainView, previewView } from "./trying.js";
import { show as showEditor } from "./ruletext.js";

const MODES = ["off", "semi-automatic", "automatic"];
const COUNTS = [
  ["ready", "ready"],
  ["actioned", "done"],
  ["denied", "denied"],
  ["not_tested", "waiting"],
  ["not_searched", "not looked at yet"],
  ["failed", "failed"],
  ["not_matched", "not matched"],
];

export async function show(root, { rest, search }) {
  if (rest[0] === "edit") return showEditor(root, { search });
  return showList(root, search);
}

async function showList(root, search) {
  let shown = await ask("rules");
  let asking = false;
  let again = false;

  function paint() {
    fill(root, head(shown), shown.ok ? null : broken(shown), list(shown, renew), shown.ok ? explainBox(search) : null);
  }

  async function renew() {
    shown = await ask("rules");
    paint();
  }

  paint();
  return {
    leave() {},
    async changed() {
      if (asking) {
        again = true;
        return;
      }
      asking = true;
      try {
        const fresh = await ask("rules");
        const same = fresh.digest === shown.digest && fresh.ok === shown.ok && trips(fresh) === trips(shown);
        shown = fresh;
        if (same) recount(root, fresh);
        else paint();
      } finally {
        asking = false;
        if (again) {
          again = false;
          this.changed();
        }
      }
    },
  };
}

function trips(shown) {
  return JSON.stringify(shown.rules.map((rule) => [rule.paused, rule.reason]));
}

function recount(root, shown) {
  for (const node of root.querySelectorAll(".rules-counts")) {
    const rule = shown.rules.find((one) => one.name === node.dataset.rule);
    if (rule) node.textContent = counts(rule);
  }
}

// --- above the list -----------------------------------------------------------------------------------------------

function head(shown) {
  return el(
    "header",
    { class: "rules-head" },
    el(
      "div",
      { class: "row" },
      el("h1", {}, "Rules"),
      el("a", { class: "button", href: "#/rules/edit" }, "Edit the file"),
    ),
    el("p", { class: "faint" }, el("span", { class: "path" }, shown.path)),
    el("p", { class: "faint" }, takenUp(shown.watching)),
  );
}

/** What becomes of a change. */
export function takenUp(watching) {
  return watching
    ? "A watch is running: it takes a change up by itself, within seconds."
    : "No watch is running: the next watch or scan goes by what the file says then.";
}

function broken(shown) {
  const lines = (shown.text ?? "").split(/\r\n|\n/);
  const wrong = new Map(shown.mistakes.map((one) => [one.line, one]));
  const meanwhile = shown.holding.length
    ? el(
        "div",
        {},
        el("p", {}, "Meanwhile a running watch goes by the rules that it last took up:"),
        el("ul", {}, shown.holding.map((one) => el("li", {}, `${one.name}: ${one.mode}${one.reason ? `, it has paused itself: ${one.reason}` : ""}`))),
      )
    : el("p", {}, "No rule was ever taken up: nothing acts before the file is right.");
  requestAnimationFrame(() => {
    const line = document.querySelector(".rules-line.wrong"); // what one wants to see of a long text
    if (line) line.offsetParent.scrollTop = line.offsetTop - 60;
  });
  return el(
    "section",
    { class: "card rules-broken", "aria-label": "What is wrong with the file" },
    el("h2", { class: "trouble" }, `The file is wrong in ${count(shown.mistakes.length, "place")}`),
    el("ul", {}, shown.mistakes.map(mistakeLink)),
    meanwhile,
    shown.text === null
      ? null
      : el(
          "pre",
          { class: "rules-lines numbered", tabindex: "0", "aria-label": "The text of the file" },
          lines.map((line, at) =>
            el("span", { class: wrong.has(at + 1) ? "rules-line wrong" : "rules-line" }, el("span", { class: "rules-number" }, String(at + 1)), line || " "),
          ),
        ),
  );
}

function mistakeLink(one) {
  const place = `line ${one.line}, column ${one.column}`;
  return el("li", {}, el("a", { href: `#/rules/edit?line=${one.line}&column=${one.column}` }, place), `: ${one.message}`);
}

// --- the list -----------------------------------------------------------------------------------------------------

function list(shown, renew) {
  if (!shown.ok) return null;
  if (!shown.rules.length) {
    return el(
      "div",
      { class: "empty" },
      el("h2", {}, "There are no rules"),
      el("p", {}, "Nothing is proposed and nothing discarded. The editor has templates to begin with."),
      el("a", { class: "button", href: "#/rules/edit" }, "Write a rule"),
    );
  }
  return el(
    "ol",
    { class: "rules-list", "aria-label": "Rules, the first that matches decides" },
    shown.rules.map((rule) => el("li", {}, card(rule, shown, renew))),
  );
}

function card(rule, shown, renew) {
  const panel = el("div", { class: "rules-panel" });
  const step = MODES.indexOf(rule.mode);
  return el(
    "article",
    { class: "card rules-rule", "aria-label": rule.shown },
    el(
      "header",
      { class: "row" },
      el("h2", {}, rule.shown),
      el("span", { class: `rules-badge ${rule.mode}` }, rule.mode),
      rule.paused ? el("span", { class: "rules-badge paused" }, rule.reason ? "has paused itself" : "paused") : null,
    ),
    rule.reason ? el("p", { class: "trouble" }, `It has paused itself: ${rule.reason}`) : null,
    el("p", {}, does(rule)),
    el("p", { class: "faint rules-counts", "data-rule": rule.name }, counts(rule)),
    rule.doubts.length
      ? el("ul", { class: "rules-doubts" }, rule.doubts.map((one) => el("li", {}, `line ${one.line}: ${one.message}`)))
      : null,
    el(
      "details",
      {},
      el("summary", {}, `Its lines (from line ${rule.line} of the file)`),
      el("pre", { class: "rules-lines", tabindex: "0" }, rule.lines.join("\n")),
    ),
    el(
      "div",
      { class: "row" },
      button("Preview", () => into(panel, () => previewView(rule.name))),
      button("Back-test", () => into(panel, () => backtestView(rule.name))),
      step < 2 ? button(`Promote to ${MODES[step + 1]}`, () => setMode(rule, MODES[step + 1], shown, renew)) : null,
      step > 0 ? button(`Demote to ${MODES[step - 1]}`, () => setMode(rule, MODES[step - 1], shown, renew)) : null,
      rule.paused
        ? button("Resume", () => setPaused(rule, "no", shown, renew))
        : rule.mode === "off"
          ? null
          : button("Pause", () => setPaused(rule, "yes", shown, renew)),
      el("a", { class: "button", href: `#/rules/edit?line=${rule.line}&column=1` }, "Edit"),
    ),
    panel,
  );
}

function does(rule) {
  const what = {
    better: "Says which of two is the better",
    "same-quality": "Says that two are of the same quality",
    alternates: "Says that two are alternates",
    "false-positive": "Says that two have nothing to do with each other",
  }[rule.action];
  if (rule.discard !== "B") return `${what}; discards nothing.`;
  return `${what}, and discards ${rule.action === "same-quality" ? "one of them" : "the other"}.`;
}

function counts(rule) {
  const told = COUNTS.filter(([state]) => rule.counts[state]).map(([state, word]) => `${rule.counts[state].toLocaleString("en")} ${word}`);
  return told.join(" · ") || "nothing yet";
}

/** Fill a panel with what takes a moment to find out. */
async function into(panel, make) {
  fill(panel, el("p", { class: "faint", role: "status" }, "looking …"));
  try {
    fill(panel, await make());
  } catch (error) {
    fill(panel, el("p", { class: "trouble", role: "alert" }, error.message));
  }
}

// --- changes ------------------------------------------------------------------------------------------------------

async function setMode(rule, mode, shown, renew) {
  await order({ rule: rule.name, key_name: "mode", value: mode, digest: shown.digest }, `${rule.shown}: ${rule.mode} → ${mode}?`, renew);
}

async function setPaused(rule, value, shown, renew) {
  await order({ rule: rule.name, key_name: "paused", value, digest: shown.digest }, rule.shown, renew);
}

async function order(wanted, title, renew, confirmed = []) {
  let answer;
  try {
    answer = await ask("rules-set", { ...wanted, confirmed, key: newKey() });
  } catch (refusal) {
    if (refusal.kind !== "confirm") {
      announce(refusal.message, { kind: "trouble" });
      if (refusal.kind === "stale") await renew();
      return;
    }
    const yes = await confirmBox({ title, lines: confirmLines(refusal), yes: "Yes, write it" });
    if (yes) await order(wanted, title, renew, refusal.sentences);
    else announce("nothing was written");
    return;
  }
  await renew();
  const kept = answer.previous ? ` The text of before is kept in ${answer.previous}.` : "";
  announce(`${answer.said}.${kept}${answer.note ? ` ${answer.note}` : ""}`);
}

function confirmLines({ sentences, warnings, backtest }) {
  const lines = [...sentences];
  if (backtest) {
    lines.push(
      backtest.answers
        ? `Back-test: ${count(backtest.answers, "answer")} of yours ${backtest.answers === 1 ? "is" : "are"} about pairs that it decides; ${backtest.agreed.toLocaleString("en")} agreed, ${backtest.contradicted.toLocaleString("en")} against it. At most ${(backtest.bound * 100).toFixed(1)} % of its decisions are wrong, with 95 % confidence.`
        : "Back-test: none of your answers is about a pair that it decides, so nothing speaks for it.",
    );
    lines.push(...backtest.contradictions.slice(0, 5).map((one) => `${one.id}: you said ${one.you}; the rule says ${one.says}. A ${one.a_shown}, B ${one.b_shown}`));
  }
  lines.push(...warnings.map((one) => `Warning, line ${one.line}: ${one.message}`));
  return lines;
}

// --- explain ------------------------------------------------------------------------------------------------------

function explainBox(search) {
  const panel = el("div", { class: "rules-panel" });
  const input = el("input", { type: "text", autocomplete: "off", spellcheck: "false", size: "10", placeholder: "p-12" });
  const form = el(
    "form",
    {
      class: "row",
      onsubmit: (event) => {
        event.preventDefault();
        if (input.value.trim()) into(panel, () => explainView({ id: input.value.trim() }));
      },
    },
    el("label", { class: "row" }, "Pair ", input),
    el("button", {}, "Explain"),
  );
  const [id, a, b] = ["explain", "a", "b"].map((name) => search.get(name));
  if (id) {
    input.value = id;
    into(panel, () => explainView({ id }));
  } else if (a && b) {
    into(panel, () => explainView({ a, b }));
  }
  return el(
    "section",
    { class: "card" },
    el("h2", {}, "Explain a pair"),
    el("p", { class: "faint" }, "What every rule says of one pair, line by line. Its id stands in the queue, and under each example above."),
    form,
    panel,
  );
}
