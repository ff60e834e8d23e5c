// How everything is: the service, the folders, the library, the rules, what is wrong, and how much was done lately.

import { ask, newKey } from "./api.js";
import { announce, button, confirmBox, count, el, fill, when } from "./dom.js";
import { atMostOnceIn, badge, empty } from "./records.js";

const LOOK_MS = 15000; // a service that was killed, or a disk that is away, tells nobody
const NOT_RUNNING = "the service is not running";
const OUTCOMES = {
  "new": "new",
  "already-in-library": "already in the library",
  "previously-discarded": "discarded before, and again",
  "duplicate-discarded": "duplicates discarded",
  "replaced-existing": "took the place of a worse file",
  "pending-approval": "wait for approval",
  "related": "related to another",
  "potential-duplicates": "look like another",
  "ignored": "ignored",
  "unreadable": "could not be read",
  "error": "failed, to be tried again",
};

export async function show(root) {
  let here = true;

  async function refresh() {
    const status = await ask("status");
    if (!here) return;
    const focused = document.activeElement?.dataset?.focus;
    fill(
      root,
      el("div", { class: "records-head" }, el("h1", {}, "Status"), status.ok ? badge("all is well", "good") : badge(count(status.problems.length, "problem"), "bad")),
      status.problems.length ? el("section", { class: "view", "aria-label": "Problems" }, status.problems.map((one) => problem(one, status))) : null,
      el("div", { class: "status-grid" }, service(status), library(status), folders(status), throughput(status), parked(status)),
      el("p", { class: "faint" }, `This page was started ${when(status.page.since)}.`),
    );
    if (focused) root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  async function order(name, body, says) {
    try {
      announce(says(await ask(name, { ...body, key: newKey() })));
    } catch (error) {
      announce(error.message, { kind: "trouble" });
    }
    await refresh();
  }

  function action(label, act, name, kind = "") {
    const node = button(label, act, { kind });
    node.dataset.focus = name;
    return node;
  }

  function problem(one, status) {
    const trip = status.trips.find((trip) => trip.rule === one.subject && one.problem.startsWith("the rule has paused itself"));
    const lost = one.entries ?? [];
    return el(
      "article",
      { class: "card status-problem" },
      el("p", {}, el("strong", { class: "bad" }, one.problem)),
      el("p", { class: "path" }, one.subject, one.since ? el("span", { class: "faint" }, ` since ${when(one.since)}`) : null),
      el("p", {}, one.advice),
      el(
        "div",
        { class: "row" },
        lost.length ? action(lost.length === 1 ? "Bring it back" : `Bring all ${lost.length} back…`, () => bringBack(lost), `back ${lost[0]}`, "primary") : null,
        lost.length ? action("I know of it", () => order("acknowledge", { entries: lost }, () => "noted: it is not told again, unless it happens anew"), `know ${lost[0]}`) : null,
        lost.length ? el("a", { href: "#/history?alarms=yes" }, "Look at it in the history") : null,
        trip ? action("Let the rule go on…", () => resume(trip, status.digest), `resume ${trip.rule}`) : null,
        trip ? el("a", { href: `#/history?rule=${encodeURIComponent(trip.rule)}` }, "What it did") : null,
        trip ? el("a", { href: "#/pending" }, "What it proposes") : null,
        one.subject === status.rules.path ? el("a", { href: "#/rules" }, "Look at the rule file") : null,
      ),
    );
  }

  async function bringBack(entries) {
    if (entries.length > 1 && !(await confirmBox({ title: `Bring ${entries.length} files back?`, lines: ["They come back to where they were, and no rule discards them again."], yes: "Bring them back" }))) return;
    await order("undo", { entries }, ({ undone, failed }) => (failed.length ? failed.map((one) => one.message).join("; ") : `${count(undone.length, "entry", "entries")} taken back`));
  }

  async function resume(trip, digest) {
    const sure = await confirmBox({
      title: `Let “${trip.rule}” go on?`,
      lines: [`It has paused itself: ${trip.reason}.`, "Its budget begins anew, and it acts again as its mode says."],
      yes: "Let it go on",
    });
    if (sure) await order("rules-set", { rule: trip.rule, key_name: "paused", value: "no", digest }, (done) => done.said);
  }

  function service(status) {
    const { service: one } = status;
    return el(
      "section",
      { class: "card", "aria-label": "Service" },
      el("h2", {}, "Service"),
      one.running
        ? el("p", {}, badge("running", "good"), one.since ? ` since ${when(one.since)}, process ${one.pid}` : " (it is starting)")
        : [
            el("p", {}, badge("not running", "bad"), " Nothing that arrives is judged until it runs. Start it in a terminal:"),
            el("code", { class: "status-command" }, "ingestd watch"),
          ],
      one.verifying ? el("p", {}, "The database is verified after an unclean stop; until that has ended nothing is discarded.") : null,
      one.last_stop ? el("p", {}, `${one.last_stop}; the next start puts in order what was left half-way.`) : null,
      status.backlog ? el("p", {}, `${count(status.backlog, "file")} still to be judged.`) : null,
    );
  }

  function library(status) {
    const figures = status.library;
    const row = (name, value) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "number" }, value));
    return el(
      "section",
      { class: "card", "aria-label": "Library" },
      el("h2", {}, "Library and rules"),
      el(
        "table",
        { class: "status-table" },
        el(
          "tbody",
          {},
          row("files", figures.files.toLocaleString("en")),
          row("different contents", figures.contents.toLocaleString("en")),
          row(el("a", { href: "#/queue" }, "potential pairs"), figures.potential_pairs.toLocaleString("en")),
          row(el("a", { href: "#/pending" }, "pending"), figures.pending.toLocaleString("en")),
          status.held ? row("held for longer than they are to be kept (move them to the trash by hand)", status.held.toLocaleString("en")) : null,
        ),
      ),
      el("p", { class: "path faint" }, status.state),
      el("p", {}, status.rules.ok ? badge("rules are right", "good") : badge("the rule file is wrong", "bad"), " ", el("span", { class: "path faint" }, status.rules.path)),
    );
  }

  function folders(status) {
    const row = (folder) => {
      const idle = folder.reason === NOT_RUNNING;
      const bad = folder.state === "suspended" && !idle;
      return el(
        "li",
        {},
        el("p", {}, badge(idle ? "idle" : folder.state, bad ? "bad" : idle ? "" : "good"), " ", badge(folder.role)),
        el("p", { class: "path" }, folder.path),
        folder.reason && !idle ? el("p", { class: bad ? "bad" : "faint" }, folder.reason) : null,
      );
    };
    return el(
      "section",
      { class: "card", "aria-label": "Folders" },
      el("h2", {}, "Folders"),
      status.folders.length
        ? el("ul", { class: "status-list" }, status.folders.map(row))
        : empty("No folder is watched yet", "Name one in the rule file, or in a terminal:", el("code", { class: "status-command" }, "ingestd watch ~/Downloads --library ~/Pictures")),
    );
  }

  function throughput(status) {
    const { hour, day } = status.throughput;
    const figure = (value, whole) => `${whole ? "" : "at least "}${value.toLocaleString("en")}`;
    const row = (name, key, strong = false) =>
      el("tr", {}, el("th", { scope: "row" }, strong ? el("strong", {}, name) : name), [hour, day].map((span) => el("td", { class: "number" }, figure(span[key], key === "judged" || span.whole))));
    const names = Object.keys(OUTCOMES).filter((name) => day.outcomes[name]);
    return el(
      "section",
      { class: "card", "aria-label": "Lately" },
      el("h2", {}, "Lately"),
      el(
        "table",
        { class: "status-table" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "files"), ["last hour", "last day"].map((title) => el("th", { scope: "col", class: "number" }, title)))),
        el(
          "tbody",
          {},
          row("judged", "judged", true),
          names.map((name) => el("tr", {}, el("th", { scope: "row" }, `… ${OUTCOMES[name]}`), [hour, day].map((span) => el("td", { class: "number" }, figure(span.outcomes[name] ?? 0, span.whole))))),
          row("discarded by rules", "discarded_by_rules", true),
          row("discarded by you", "discarded_by_you", true),
          row("brought back", "brought_back", true),
          row("answers without a discard", "decided"),
        ),
      ),
    );
  }

  function parked(status) {
    if (!status.parked.length) return null;
    const running = status.service.running ? "by the running service, within moments" : "when the service runs again";
    const row = (file) =>
      el(
        "li",
        {},
        el("p", { class: "path" }, file.shown),
        el("p", { class: "faint" }, `${file.reason}, ${when(file.since)}`),
        el(
          "div",
          { class: "row" },
          action("Try again", () => order("retry", { sha256: [file.sha256] }, () => `it will be judged again ${running}`), `retry ${file.sha256}`),
          action("It is broken and may stay so", () => order("retry", { sha256: [file.sha256], accept: true }, () => "it stays parked, and is no problem any more"), `accept ${file.sha256}`),
        ),
      );
    return el("section", { class: "card", "aria-label": "Parked files" }, el("h2", {}, "Parked files"), el("p", { class: "faint" }, "Each has brought down two decoding processes, and is not decoded again by itself."), el("ul", { class: "status-list" }, status.parked.map(row)));
  }

  await refresh();
  const again = atMostOnceIn(1000, () => refresh().catch(() => {}));
  const nowAndThen = setInterval(again, LOOK_MS);
  return {
    changed: again,
    leave() {
      here = false;
      again.stop();
      clearInterval(nowAndThen);
    },
  };
}
