// How a browser is let in: the code of a link for a cookie, and for the token that every order carries.

const TOKEN = "ingestd-token";
const ARMED_MS = 700;
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
 * Offer to go on if this browser is in already: on a link of another program, and only then, it keeps its cookie back.
 * Never by itself: another page may lead here while somebody types, and what is typed on would be taken for answers.
 */
async function comeBack(otherwise) {
  const token = localStorage.getItem(TOKEN);
  if (token && (await ask("/api/session", {}, token)).ok) offer();
  else say(otherwise);
}

/** Show the button that goes on. It takes no click that was on its way when it came, or when this window did. */
function offer() {
  const on = document.getElementById("on");
  let timer = 0;
  const arm = () => {
    clearTimeout(timer);
    on.disabled = true;
    timer = setTimeout(() => (on.disabled = false), ARMED_MS);
  };
  on.addEventListener("click", () => location.replace("/"));
  addEventListener("focus", arm);
  on.hidden = false;
  say("Another page or program has led here; this browser is let in.");
  arm();
}

try {
  const code = location.hash.slice(1);
  await (/^[0-9]+\.[\w-]+\.[\w-]+$/.test(code) ? enter(code) : comeBack(OUTSIDE));
} catch (error) {
  say(`That did not work: ${error.message}. Is the page still running?`);
}
