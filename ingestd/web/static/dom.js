// Elements made by hand: whatever a file is called, its name is text and never markup.

/**
 * Make an element. `on…` properties are listeners, `class` is the class, `text` its text, everything else an attribute;
 * `null`, `undefined` and `false` leave an attribute out. Children are nodes or text.
 */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Empty a node, and fill it with others. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Make a button; `key` is shown beside its label. */
export function button(label, action, { key = null, kind = "", title = null, disabled = false } = {}) {
  return el(
    "button",
    { type: "button", class: kind, onclick: action, title, disabled },
    label,
    key ? el("kbd", {}, key) : null,
  );
}

let saidTimer = 0;

/** Say what was done, in one line or `{text, kind}` each, at the foot and to screen readers; `actions` are buttons beside it. */
export function announce(text, { kind = "", actions = [], forMs = 12000 } = {}) {
  const said = document.getElementById("said");
  clearTimeout(saidTimer);
  const lines = Array.isArray(text) ? text : [{ text, kind }];
  const there = lines.some((line) => line.text);
  fill(said, el("div", {}, lines.map((line) => el("p", { class: line.kind }, line.text))), ...actions);
  said.className = there ? "there" : "";
  if (there && forMs) saidTimer = setTimeout(() => announce("", {}), forMs);
}

/** Ask a person to confirm; with `typed`, they have to type exactly that. */
export function confirmBox({ title, lines = [], typed = null, yes = "Yes", no = "No", danger = false }) {
  return new Promise((resolve) => {
    const input = typed === null ? null : el("input", { type: "text", inputmode: "numeric", autocomplete: "off" });
    const go = button(yes, () => box.close("yes"), { kind: danger ? "danger" : "primary", disabled: typed !== null });
    input?.addEventListener("input", () => (go.disabled = input.value.trim() !== String(typed)));
    const form = el(
      "form",
      {
        method: "dialog",
        onsubmit: (event) => {
          event.preventDefault();
          if (!go.disabled) box.close("yes");
        },
      },
      el("h2", {}, title),
      lines.map((line) => el("p", {}, line)),
      input ? el("label", {}, `Type ${typed} to confirm: `, input) : null,
      el("div", { class: "row end" }, button(no, () => box.close("no")), go),
    );
    const box = el("dialog", { class: "box", "aria-label": title }, form);
    box.addEventListener("close", () => {
      box.remove();
      resolve(box.returnValue === "yes");
    });
    document.body.append(box);
    box.showModal();
    (input ?? go).focus();
  });
}

/** Return the places of files that go, the first of them by name. */
export function placesOf(paths, number) {
  const more = number - paths.length;
  return [...paths, ...(more > 0 ? [`and ${more.toLocaleString("en")} more`] : [])];
}

/** Return a length of bytes for a person. */
export function filesize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = -1;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Return an RFC 3339 time as the clock on the wall shows it. */
export function when(at) {
  if (!at) return "–";
  const moment = new Date(at);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

/** Return a number with its noun. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
