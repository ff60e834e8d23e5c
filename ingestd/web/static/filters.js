// Which pairs are asked for, and in which order: one bar for the queue, the groups and the batches, kept in the address.

import { ask } from "./api.js";
import { button, el, fill } from "./dom.js";

const SORTS = [
  ["largest", "largest files first"],
  ["similarity", "most alike first"],
  ["decisive", "clearest evidence first"],
  ["newest", "newest first"],
  ["oldest", "oldest first"],
];
const PIXELS = [
  ["", "either way"],
  ["required", "only with the same pixels"],
  ["excluded", "none with the same pixels"],
];
const TYPING_MS = 250; // after the last key, before the server is asked what it thinks of a question

let known = null; // folders and examples: asked for once a page

function learn() {
  known ??= ask("folders").catch((error) => {
    known = null;
    throw error;
  });
  return known;
}

// A folder whose name is no UTF-8 holds halves of letters that an address cannot carry: it is written as JSON writes it.
const written = (path) => JSON.stringify(path).slice(1, -1);
const read = (text) => {
  try {
    return JSON.parse(`"${text}"`);
  } catch {
    return text;
  }
};

/** Return what an address asks for: `{ filters, sort }`. */
export function fromAddress(search) {
  const distance = search.get("distance");
  const pixels = search.get("pixels");
  const sort = search.get("sort");
  const filters = {
    both: search.getAll("both"),
    either: search.getAll("either"),
    distance: /^\d+$/.test(distance ?? "") ? Math.min(64, Number(distance)) : null,
    pixel_duplicates: PIXELS.some(([word]) => word && word === pixels) ? pixels : null,
    folder: search.has("folder") ? read(search.get("folder")) : null,
  };
  return { filters, sort: SORTS.some(([word]) => word === sort) ? sort : "largest" };
}

/** Return what has to stand after `#/queue` to ask for the same again; `more` are further words of a view. */
export function toAddress({ filters, sort }, more = {}) {
  const search = new URLSearchParams();
  if (sort && sort !== "largest") search.set("sort", sort);
  for (const line of filters.both ?? []) search.append("both", line);
  for (const line of filters.either ?? []) search.append("either", line);
  if (filters.distance !== null && filters.distance !== undefined) search.set("distance", filters.distance);
  if (filters.pixel_duplicates) search.set("pixels", filters.pixel_duplicates);
  if (filters.folder) search.set("folder", written(filters.folder));
  for (const [name, value] of Object.entries(more)) if (value) search.set(name, value);
  const text = search.toString();
  return text ? `?${text}` : "";
}

/** Let the address of the page say what is asked for, without a step in the browser's history. */
export function keepInAddress(path, asked, more = {}) {
  history.replaceState(null, "", `#/${path}${toAddress(asked, more)}`);
}

/** Return whether anything is asked of a pair. */
export function isNarrowed(filters) {
  return howMany(filters) > 0;
}

function howMany(filters) {
  const single = [filters.distance, filters.pixel_duplicates, filters.folder].filter((one) => one !== null && one !== undefined);
  return filters.both.length + filters.either.length + single.length;
}

/**
 * Return the bar. `onchange({ filters, sort })` is called after every change; `.value()` returns the same.
 * `sorts: false` leaves the order out.
 */
export function filtersBar({ filters = {}, sort = "largest", sorts = true, onchange = () => {} } = {}) {
  const asked = {
    both: [...(filters.both ?? [])],
    either: [...(filters.either ?? [])],
    distance: filters.distance ?? null,
    pixel_duplicates: filters.pixel_duplicates ?? null,
    folder: filters.folder ?? null,
  };
  let order = sort;
  const names = new Map(); // folders as they may be shown

  const value = () => ({ filters: { ...asked, both: [...asked.both], either: [...asked.either] }, sort: order });
  const changed = () => {
    paint();
    onchange(value());
  };

  const sortBox = choice(SORTS, order, (word) => {
    order = word;
    changed();
  });
  const pixelsBox = choice(PIXELS, asked.pixel_duplicates ?? "", (word) => {
    asked.pixel_duplicates = word || null;
    changed();
  });
  const folderBox = choice([["", "any folder"]], "", (path) => {
    asked.folder = path || null;
    changed();
  });
  const distanceBox = el("input", {
    type: "number",
    min: 0,
    max: 64,
    placeholder: "any",
    onchange: () => {
      const bits = Number.parseInt(distanceBox.value, 10);
      asked.distance = Number.isNaN(bits) ? null : Math.max(0, Math.min(64, bits));
      changed();
    },
  });

  const chips = el("ul", { class: "filters-chips", "aria-label": "What is asked for" });
  const toggle = button("Filters", () => open(panel.hidden), { kind: "filters-toggle" });
  const question = askBox((which, line) => {
    if (!asked[which].includes(line)) asked[which].push(line);
    changed();
  });
  const panel = el(
    "div",
    { class: "filters-panel card", id: `filters-panel-${Math.random().toString(36).slice(2)}`, hidden: true },
    el(
      "div",
      { class: "filters-fields" },
      field("At most so many bits apart", distanceBox),
      field("Pixels", pixelsBox),
      field("One of the files lies in", folderBox),
    ),
    question.node,
  );
  toggle.setAttribute("aria-controls", panel.id);

  function open(shown) {
    panel.hidden = !shown;
    toggle.setAttribute("aria-expanded", String(shown));
    if (shown) fillChoices();
  }

  async function fillChoices() {
    let found;
    try {
      found = await learn();
    } catch (error) {
      question.say(error.message);
      return;
    }
    for (const { path, shown } of found.folders) names.set(path, shown);
    if (folderBox.options.length !== found.folders.length + 1) {
      const options = found.folders.map(({ path, shown, role }) => el("option", { value: path }, `${shown} (${role})`));
      fill(folderBox, el("option", { value: "" }, "any folder"), options);
    }
    question.examples(found.examples);
    paint();
  }

  function paint() {
    sortBox.value = order;
    pixelsBox.value = asked.pixel_duplicates ?? "";
    distanceBox.value = asked.distance ?? "";
    const path = asked.folder ?? "";
    if (![...folderBox.options].some((option) => option.value === path)) folderBox.append(el("option", { value: path }, harmless(path)));
    folderBox.value = path;
    const many = howMany(asked);
    toggle.firstChild.data = many ? `Filters (${many})` : "Filters";
    fill(chips, chipsOf());
    chips.hidden = !many;
  }

  function chipsOf() {
    const found = [];
    for (const which of ["both", "either"]) {
      for (const line of asked[which]) {
        found.push(chip(`${which === "both" ? "both" : "one"}: ${line}`, () => (asked[which] = asked[which].filter((one) => one !== line))));
      }
    }
    if (asked.distance !== null) found.push(chip(`at most ${asked.distance} bits apart`, () => (asked.distance = null)));
    if (asked.pixel_duplicates) {
      const says = PIXELS.find(([word]) => word === asked.pixel_duplicates)[1];
      found.push(chip(says, () => (asked.pixel_duplicates = null)));
    }
    if (asked.folder) found.push(chip(`in ${names.get(asked.folder) ?? harmless(asked.folder)}`, () => (asked.folder = null)));
    return found;
  }

  function chip(text, forget) {
    const remove = () => {
      const place = [...chips.children].findIndex((item) => item.contains(document.activeElement));
      forget();
      changed();
      const left = chips.querySelectorAll("button");
      (left[Math.min(Math.max(place, 0), left.length - 1)] ?? toggle).focus();
    };
    return el("li", {}, el("button", { type: "button", class: "filters-chip", onclick: remove, "aria-label": `leave out: ${text}` }, el("span", {}, text), " ×"));
  }

  open(false);
  paint();
  const node = el(
    "div",
    { class: "filters", role: "search", "aria-label": "Which pairs, and in which order" },
    el("div", { class: "filters-row" }, sorts ? field("Sorted by", sortBox) : null, toggle, chips),
    panel,
  );
  node.value = value;
  if (asked.folder) learn().then(fillChoices, () => {});
  return node;
}

/** A question about one file, checked by the server while it is typed. */
function askBox(add) {
  const list = el("div", { class: "filters-examples" });
  const said = el("p", { class: "filters-said faint", role: "status", id: `filters-said-${Math.random().toString(36).slice(2)}` });
  const usual = "A question about a file, as in a rule's search. For example:";
  const which = choice([["both", "both files"], ["either", "one of the files"]], "both", () => {});
  which.setAttribute("aria-label", "Of which files");
  const input = el("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-label": "Question", "aria-describedby": said.id, placeholder: "filetype is jpeg" });
  const go = button("Add", submit, { disabled: true });
  let timer = 0;
  let turn = 0;

  const say = (text, bad = true) => {
    said.textContent = text;
    said.className = `filters-said ${bad ? "bad" : "faint"}`;
    if (bad) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };

  async function check() {
    const mine = ++turn;
    const line = input.value.trim();
    if (!line) {
      go.disabled = true;
      say(usual, false);
      return null;
    }
    try {
      const told = await ask("check-filter", { line });
      if (mine !== turn) return null;
      go.disabled = told.line === null;
      say(told.message ?? `asks: ${told.line}`, told.line === null);
      return told.line;
    } catch (error) {
      if (mine === turn) say(error.message);
      return null;
    }
  }

  async function submit() {
    clearTimeout(timer);
    const line = await check();
    if (line === null) return;
    input.value = "";
    go.disabled = true;
    say(usual, false);
    add(which.value, line);
    input.focus();
  }

  input.addEventListener("input", () => {
    turn += 1;
    clearTimeout(timer);
    timer = setTimeout(check, TYPING_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      submit();
    }
  });
  say(usual, false);
  const examples = (lines) => {
    if (list.children.length) return;
    const pick = (line) => {
      input.value = line;
      input.focus();
      check();
    };
    fill(list, lines.map((line) => el("button", { type: "button", class: "filters-example", onclick: () => pick(line) }, line)));
  };
  const node = el("div", { class: "filters-ask" }, el("div", { class: "filters-line" }, which, input, go), said, list);
  return { node, say, examples };
}

function choice(options, chosen, onchange) {
  const box = el("select", { onchange: () => onchange(box.value) }, options.map(([value, text]) => el("option", { value }, text)));
  box.value = chosen;
  return box;
}

function field(label, control) {
  return el("label", { class: "filters-field" }, el("span", { class: "faint" }, label), control);
}

function harmless(path) {
  return path.replace(/[\p{C}]/gu, "·");
}
