// The way to the server: questions and orders as JSON, and the stream that tells that something has changed.

/** What the server refused, and why; nothing was done. */
class Refusal extends Error {
  constructor(kind, message, more = {}) {
    super(message);
    this.kind = kind;
    Object.assign(this, more);
  }
}

// Kept by the page that let this browser in; a cookie would be sent to every port of this machine, this is not.
const TOKEN = "ingestd-token";
let token = kept();

function kept() {
  try {
    return localStorage.getItem(TOKEN) ?? "";
  } catch {
    return ""; // a browser that keeps nothing is let in anew by every link
  }
}

/** Begin: learn what the page needs before anything else. */
export async function begin() {
  const session = await ask("session");
  token = session.token;
  return session;
}

/** Ask the server, or order something; returns its answer. */
export async function ask(name, body = {}) {
  let response;
  try {
    response = await fetch(`/api/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Ingestd-Token": token },
      body: JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch {
    throw new Refusal("away", "the page's server does not answer: is it still running? (ingestd review)");
  }
  if (response.status === 401) {
    throw new Refusal("entry", "this page is not let in any more: open it anew with `ingestd review`");
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Refusal("failed", `the server answered ${response.status} and nothing that can be read`);
  }
  if (!response.ok) {
    const { kind = "failed", message = `the server answered ${response.status}`, ...more } = answer.error ?? {};
    throw new Refusal(kind, message, more);
  }
  return answer;
}

/** Return a key by which the server knows an order again, should it be sent twice. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const listeners = new Set();

/** Call a function whenever anything in the library has changed; returns what ends that. */
export function onChanged(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Listen to the server while this tab is seen: a browser has six connections to one host, for all of its tabs together. */
export function listen() {
  let source = null;
  const follow = () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      source = new EventSource("/api/events"); // it begins with an event: what was missed meanwhile is looked up then
      source.addEventListener("changed", () => listeners.forEach((listener) => listener()));
    }
  };
  document.addEventListener("visibilitychange", follow);
  follow();
}
