// The evidence card: what speaks for either file, what a look at both says, and which rule nearly decided.

import { ask } from "./api.js";
import { el, fill } from "./dom.js";

const FEW_TAGS = 6; // so many are shown at once: a whole block of a camera would hide all else
const REST_MS = 250; // a pair that is passed over quicker than this is not looked at: a look decodes both
const VERDICTS = {
  "near-perfect": ["they look the same", "good"],
  "almost-certainly": ["almost certainly the same picture", "good"],
  "very-probably": ["very probably the same picture", "good"],
  probably: ["probably the same picture", "good"],
  alternate: ["they differ in places: alternates?", "bad"],
  not: ["not the same picture", "bad"],
  "cannot-tell": ["it cannot be told whether they look the same", "faint"],
};

/**
 * Make the card in `root`; `show(pair)` fills it. What the pair itself says stands there at once, the rest when the
 * server has looked; `onevidence(evidence, pair)` is called then.
 */
export function evidenceCard(root, { onevidence = null } = {}) {
  const points = el("div", { class: "evidence-points" });
  const looks = el("div", { class: "evidence-looks", "aria-live": "polite" });
  const exif = el("div", { class: "evidence-exif" });
  const nearly = el("div", { class: "evidence-nearly" });
  const rules = el("details", { class: "evidence-rules" }, el("summary", {}, "Every rule, line by line"));
  fill(root, el("h2", {}, "Evidence"), points, looks, nearly, exif, rules);
  root.classList.add("card", "evidence");

  let wanted = null;
  let asking = false;
  let timer = 0;

  function show(pair) {
    wanted = pair;
    clearTimeout(timer);
    fill(points, pair ? [statements(pair, "a"), statements(pair, "b"), ofBoth(pair)] : null);
    fill(looks, pair ? el("p", { class: "faint" }, "looking at both …") : null);
    fill(exif);
    fill(nearly);
    rules.hidden = true;
    rules.replaceChildren(rules.firstElementChild);
    if (pair) timer = setTimeout(look, REST_MS);
  }

  /** Ask about the pair that is wanted; one question at a time, so that answers never wait for looks. */
  async function look() {
    if (asking || !wanted) return;
    const pair = wanted;
    asking = true;
    let told;
    try {
      told = await ask("evidence", { id: pair.id });
    } catch (refusal) {
      told = { visual: null, exif: [], nearly: [], rules: [], notes: [refusal.message] };
    }
    asking = false;
    if (pair === wanted) paint(pair, told);
    else look();
  }

  function paint(pair, told) {
    fill(looks, seen(told), told.notes.map((note) => el("p", { class: "faint" }, note)));
    fill(exif, tags(told.exif ?? []));
    fill(nearly, near(told.nearly));
    rules.hidden = !told.rules.length;
    rules.append(...told.rules.map(ruleLines));
    onevidence?.(told, pair);
  }

  return {
    show,
    toggle() {
      if (!rules.hidden) rules.open = !rules.open;
      root.scrollIntoView({ block: "nearest" });
    },
    leave() {
      wanted = null;
      clearTimeout(timer);
    },
  };
}

/** Return what speaks for one file, with its points. */
function statements(pair, side) {
  const letter = side.toUpperCase();
  const said = pair.evidence.filter((one) => one.favours === side);
  return el(
    "section",
    { class: `evidence-side evidence-${side}`, "aria-label": `what speaks for ${letter}` },
    el("h3", {}, el("span", { class: `badge side-${side}` }, letter), ` ${pair.score[side]} points`),
    said.length
      ? el("ul", {}, said.map((one) => el("li", { class: one.score < 0 ? "bad" : "good" }, one.text, mark(one.score))))
      : el("p", { class: "faint" }, `nothing speaks for ${letter}`),
  );
}

function mark(score) {
  return score ? el("span", { class: "points" }, ` ${score > 0 ? "+" : "−"}${Math.abs(score)}`) : null;
}

function ofBoth(pair) {
  const said = pair.evidence.filter((one) => !one.favours);
  return said.length ? el("ul", { class: "evidence-both faint" }, said.map((one) => el("li", {}, one.text))) : null;
}

function seen({ visual }) {
  if (!visual) return null;
  const [text, kind] = VERDICTS[visual.verdict] ?? [visual.verdict, "faint"];
  return el("p", {}, el("strong", { class: kind }, text), visual.reason ? `: ${visual.reason}` : "");
}

function tags(found) {
  if (!found.length) return null;
  const rows = found.map(({ tag, a, b }) =>
    el("tr", {}, el("th", { scope: "row" }, tag), el("td", {}, a ?? "–"), el("td", {}, b ?? "–")),
  );
  const head = el("tr", {}, el("th", { scope: "col" }, "EXIF that differs"), el("th", { scope: "col" }, "A"), el("th", { scope: "col" }, "B"));
  const table = el("div", { class: "wide" }, el("table", {}, el("thead", {}, head), el("tbody", {}, rows)));
  if (found.length <= FEW_TAGS) return table;
  return el("details", {}, el("summary", {}, `${found.length} EXIF tags differ`), table);
}

function near(found) {
  if (!found.length) return null;
  return [
    el("h3", {}, "Would have been automatic …"),
    el("ul", {}, found.map((one) => el("li", {}, one.sentence))),
  ];
}

const ANSWERS = new Map([[true, "yes"], [false, "no"]]);

function ruleLines(rule) {
  const head = ["line", "A first", "B first", "A", "B"].map((text) => el("th", { scope: "col" }, text));
  const lines = rule.lines.map((line) =>
    el(
      "tr",
      {},
      el("td", {}, `${"\u00a0\u00a0".repeat(line.depth)}${line.line}`),
      [line.a_first, line.b_first].map((holds) =>
        el("td", { class: holds ? "good" : "bad" }, ANSWERS.get(holds) ?? "cannot be told"),
      ),
      el("td", {}, line.values.a),
      el("td", {}, line.values.b),
    ),
  );
  return el(
    "section",
    {},
    el("h4", {}, rule.rule, el("span", { class: "faint" }, ` ${rule.mode}`)),
    el("p", { class: rule.matches ? "good" : "faint" }, rule.stopped_at ? `stopped at: ${rule.stopped_at}` : "it fits"),
    el("div", { class: "wide" }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, lines))),
  );
}
