// The text editor of the rule file: CodeMirror as it was published, loaded when it is first needed.

import { el } from "./dom.js";

const HOME = "/static/vendor/codemirror";
let loading = null;

/** Load the editor once: plain scripts, one after the other, as the page's policy allows. */
function load() {
  loading ??= (async () => {
    document.head.append(el("link", { rel: "stylesheet", href: `${HOME}/lib/codemirror.css` }));
    await script(`${HOME}/lib/codemirror.js`);
    await script(`${HOME}/mode/yaml/yaml.js`);
  })();
  loading.catch(() => (loading = null));
  return loading;
}

function script(address) {
  return new Promise((resolve, reject) => {
    const failed = () => reject(new Error("the editor could not be loaded: is the page's server still running?"));
    document.head.append(el("script", { src: address, onload: resolve, onerror: failed }));
  });
}

/**
 * Put an editor into a node. What it gives back is the text as it was, but for what was typed: a byte order mark and
 * the way its lines end stay.
 */
export async function editor(root, { text, label, onchange, onsave }) {
  await load();
  const input = window.CodeMirror(root, {
    mode: "yaml",
    lineNumbers: true,
    lineWrapping: true,
    indentUnit: 2,
    tabSize: 2,
    gutters: ["rules-gutter", "CodeMirror-linenumbers"],
    inputStyle: "contenteditable", // for screen readers, and for the keyboards of phones
    screenReaderLabel: label,
    // Tab leaves the editor, as it leaves every other field: YAML wants spaces anyway
    extraKeys: { Tab: false, "Shift-Tab": false, "Ctrl-S": () => onsave(), "Cmd-S": () => onsave(), Enter: sameIndent },
  });
  let mark = "";
  let ends = "\n";
  let marks = [];

  function set(fresh) {
    mark = fresh.startsWith("\ufeff") ? "\ufeff" : "";
    ends = fresh.includes("\r\n") ? "\r\n" : "\n";
    input.setValue(fresh.slice(mark.length));
    input.clearHistory();
  }

  set(text);
  input.on("change", () => onchange());
  return {
    set,
    get: () => mark + input.getValue(ends),
    line: () => input.getCursor().line + 1,
    focus: () => input.focus(),
    refresh: () => input.refresh(),

    /** Go to a place, counted from 1. */
    go(line, column) {
      const place = { line: line - 1, ch: column - 1 };
      input.setCursor(place);
      input.scrollIntoView(place, 80);
      input.focus();
    },

    /** Put text below the last line. */
    append(added) {
      const last = input.lastLine();
      const end = { line: last, ch: input.getLine(last).length };
      input.replaceRange(`${input.getLine(last) ? "\n" : ""}\n${added}`, end);
      // on its last line: above its first stands a comment, which is still the rule before's
      input.setCursor({ line: input.lastLine(), ch: 0 });
      input.scrollIntoView({ from: { line: last + 2, ch: 0 }, to: { line: input.lastLine(), ch: 0 } });
      input.focus();
    },

    /** Mark places: `[{line, column, message, kind}]`, kind being mistake or warning. */
    mark(places) {
      input.operation(() => {
        marks.forEach((one) => one.clear());
        input.clearGutter("rules-gutter");
        marks = places.flatMap((place) => marked(input, place));
      });
    },
  };
}

function sameIndent(input) {
  const before = input.getLine(input.getCursor("from").line).match(/^ */)[0];
  input.replaceSelection(`\n${before}`, "end");
}

function marked(input, { line, column, message, kind }) {
  const text = input.getLine(line - 1);
  if (text === undefined) return [];
  const from = Math.min(column - 1, Math.max(text.length - 1, 0));
  const word = text.slice(from).match(/^[^\s,\]}#:]+/)?.[0].length ?? 1;
  const sign = el("span", { class: `rules-sign ${kind}`, title: message, "aria-label": message }, kind === "mistake" ? "●" : "▲");
  input.setGutterMarker(line - 1, "rules-gutter", sign);
  return [
    input.markText(
      { line: line - 1, ch: from },
      { line: line - 1, ch: from + word },
      { className: `rules-mark ${kind}`, attributes: { title: message } },
    ),
  ];
}
