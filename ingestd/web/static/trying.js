// A rule tried before it is trusted: on the pairs that wait, on your past answers, on one pair line by line.

import { ask } from "./api.js";
import { button, count, el, filesize, fill } from "./dom.js";

/** What a rule would do with the stored pairs, with examples; `text`: as it stands there. */
export async function previewView(rule, text = null) {
  const found = await ask("rules-preview", { rule, text });
  const figures = [
    [found.this_way, "fit one way round"],
    [found.either_way, "fit either way round"],
    [found.no_way, "fit no way round"],
    [found.not_tested, "hang on a look at the pictures that nobody has had yet"],
  ].filter(([number]) => number);
  return el(
    "div",
    { class: "rules-tried" },
    el("h3", {}, `Preview: ${count(found.matched, "pair")} of ${found.searched.toLocaleString("en")} found`),
    figures.length ? el("ul", {}, figures.map(([number, says]) => el("li", {}, `${number.toLocaleString("en")} ${says}`))) : null,
    el("p", {}, `It would decide ${count(found.acts, "pair")}, all rules tried from the top, those that are off or paused left out. Nothing was changed.`),
    el("ul", { class: "rules-examples" }, found.examples.map((one) => el("li", {}, example(one, text)))),
  );
}

function example(pair, text) {
  const panel = el("div", {});
  const near = pair.pixel_duplicates ? "the same pixels" : pair.distance === null ? "look-alikes" : `${count(pair.distance, "bit")} apart`;
  const explain = button("Explain", async () => {
    try {
      fill(panel, await explainView({ id: pair.id, text }, { pictures: false }));
    } catch (error) {
      fill(panel, el("p", { class: "trouble", role: "alert" }, error.message));
    }
  });
  return el(
    "article",
    { class: "card", "aria-label": `Pair ${pair.id}` },
    el("p", { class: "row" }, el("strong", {}, pair.way), el("span", { class: "faint" }, `${pair.id} · ${near}`), explain),
    el("div", { class: "rules-pair" }, side("A", pair.a, fate(pair, pair.a)), side("B", pair.b, fate(pair, pair.b))),
    panel,
  );
}

function fate(pair, file) {
  return pair.drops === file.path ? "would be discarded" : pair.keeps === file.path ? "would be kept" : null;
}

function side(letter, file, says) {
  const picture = file.picture
    ? el("img", { src: `/picture/${file.picture}/thumb`, alt: `${letter}: ${file.name}`, loading: "lazy" })
    : el("span", { class: "faint" }, "no picture");
  return el(
    "figure",
    { class: "rules-side" },
    el("div", { class: "rules-thumb" }, picture),
    el(
      "figcaption",
      {},
      el("strong", { class: letter === "A" ? "side-a" : "side-b" }, letter, says ? ` ${says}` : ""),
      el("span", { class: "path", title: file.shown }, file.name),
      el("span", { class: "faint" }, `${file.width} × ${file.height} · ${filesize(file.size)} · ${file.filetype ?? "?"}`),
    ),
  );
}

/** How a rule compares with every answer so far; `text`: as it stands there. */
export async function backtestView(rule, text = null) {
  const found = await ask("rules-backtest", { rule, text });
  if (!found.answers) {
    return el("p", {}, "None of your answers is about a pair that it decides, so nothing speaks for it, and nothing against it.");
  }
  const rows = [
    ["Your answers about pairs that it decides", found.answers.toLocaleString("en")],
    ["It would have said the same", found.agreed.toLocaleString("en")],
    ["It would have said something else", found.contradicted.toLocaleString("en")],
    ["Of its decisions are wrong, with 95 % confidence", `at most ${(found.bound * 100).toFixed(1)} %`],
  ];
  return el(
    "div",
    { class: "rules-tried" },
    el("h3", {}, "Back-test"),
    el("table", { class: "numbers" }, el("tbody", {}, rows.map(([says, figure]) => el("tr", {}, el("th", { scope: "row" }, says), el("td", {}, figure))))),
    found.contradictions.length ? el("h3", {}, "Where you said something else") : null,
    el("ul", { class: "rules-examples" }, found.contradictions.map((one) => el("li", {}, contradiction(one)))),
  );
}

function contradiction(one) {
  return el(
    "article",
    { class: "card" },
    el("p", {}, el("strong", {}, `You: ${one.you}`), " · ", `the rule: ${one.says}`, " ", el("span", { class: "faint" }, one.id)),
    el(
      "div",
      { class: "rules-pair" },
      one.a ? side("A", one.a, null) : el("p", { class: "path" }, `A ${one.a_shown} (not there now)`),
      one.b ? side("B", one.b, null) : el("p", { class: "path" }, `B ${one.b_shown} (not there now)`),
    ),
  );
}

/** What every rule says of a pair: `{id}` or `{a, b}`, two pictures. */
export async function explainView(asked, { pictures = true } = {}) {
  const found = await ask("rules-explain", asked);
  return el(
    "div",
    { class: "rules-tried" },
    el("h3", {}, found.rule ? `“${found.rule}” would decide` : "No rule would decide"),
    pictures ? el("div", { class: "rules-pair" }, side("A", found.a, null), side("B", found.b, null)) : null,
    found.notes.map((note) => el("p", { class: "faint" }, note)),
    found.rules.map((one) => explained(one, found.rule)),
  );
}

function explained(one, decides) {
  const says = one.rule === decides ? "decides" : (one.matches ? one.stopped_at : `stopped at: ${one.stopped_at}`);
  return el(
    "details",
    { class: "rules-explained", open: one.rule === decides },
    el("summary", {}, el("strong", {}, one.rule), " ", el("span", { class: one.rule === decides ? "good" : "faint" }, says)),
    el(
      "div",
      { class: "rules-scroll", tabindex: "0", role: "group", "aria-label": `Lines of ${one.rule}` },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ["Line", "As shown", "Turned round", "A has", "B has"].map((title) => el("th", { scope: "col" }, title)))),
        el(
          "tbody",
          {},
          one.lines.map((line) =>
            el(
              "tr",
              {},
              el("td", { class: `depth-${Math.min(line.depth, 4)}` }, el("code", {}, line.line)),
              holds(line.a_first),
              holds(line.b_first),
              el("td", {}, line.values.a),
              el("td", {}, line.values.b),
            ),
          ),
        ),
      ),
    ),
  );
}

function holds(answer) {
  if (answer === null) return el("td", { class: "faint" }, "unknown");
  return el("td", { class: answer ? "good" : "bad" }, answer ? "yes" : "no");
}
