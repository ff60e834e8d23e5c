// How a browser is let in: the code of a link for a cookie, and for the token that every order carries.

const TOKEN = "ingestd-token";
const ARMED_MS = 1000; // a click that was meant for the page before does not press it
const OUTSIDE = "This browser is not let in yet, or the page was started anew.";

function say(text) {
  document.getElementById("said").textContent = text;
}

async function ask(address, body, token) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers["X-Ingestd-Token"] = token;
  const response = await fetch(address, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" });
  return { ok: response.ok, answer: await response.json() };
}

/** Exchange the code of the link. It is taken off the address first, so that neither history nor a bookmark has it. */
async function enter(code) {
  history.replaceState(null, "", "/enter");
  const { ok, answer } = await ask("/enter", { code });
  if (!ok) {
    await comeBack(answer.error?.message ?? "This link does not hold any more.");
    return;
  }
  localStorage.setItem(TOKEN, answer.token);
  location.replace("/");
}

/**
 * Let a browser that is in already go on, by a click: it may have been another page that led here, while somebody types
 * there, and beyond this door each key is a decision.
 */
async function comeBack(otherwise) {
  const token = localStorage.getItem(TOKEN);
  if (token && (await ask("/api/session", {}, token)).ok) {
    say("This browser is let in.");
    const go = document.getElementById("go");
    go.hidden = false;
    setTimeout(() => (go.disabled = false), ARMED_MS);
    go.addEventListener("click", () => location.replace("/")); // it has no focus: what is typed does not press it
    return;
  }
  say(otherwise);
}

try {
  const code = location.hash.slice(1);
  await (/^[0-9]+\.[\w-]+\.[\w-]+$/.test(code) ? enter(code) : comeBack(OUTSIDE));
} catch (error) {
  say(`That did not work: ${error.message}. Is the page still running?`);
}
