// The page: shows what the client in oidc.js does. Whatever comes from elsewhere
// is shown as text, never as HTML.

import * as oidc from "./oidc.js";

const $ = (id) => document.getElementById(id);
const { origin } = document.documentElement.dataset;
const broker = $("session") !== null; // the application has sessions of its own

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children); // strings become text nodes
  return made;
}

function notice(text, bad = false) {
  $("notice").replaceChildren(...breakable(text));
  $("notice").classList.toggle("bad", bad);
}

// breakable makes text that a narrow page breaks behind the slashes and commas of
// an address or of JSON, and not inside a number.
function breakable(text) {
  return text.split(/(?<=[/,?&])(?![/,?&])/).flatMap((part, i) => (i ? [element("wbr"), part] : [part]));
}

// The focus stays where it is. A button that is disabled or hidden would lose it
// to the body, and the keyboard would start at the top of the page again. So a
// button that can't be used now is aria-disabled, and ignores clicks.

function enable(button, on) {
  button.setAttribute("aria-disabled", String(!on));
}

// swap shows some elements and hides others. If one of those had the focus, next
// gets it.
function swap(shown, hidden, next) {
  const held = document.activeElement;
  for (const id of hidden) $(id).hidden = true;
  for (const id of shown) $(id).hidden = false;
  if (!held.checkVisibility()) $(next).focus();
}

// onClick runs an action, one at a time, and shows how it failed.
function onClick(button, action) {
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true" || button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    notice("");
    try {
      await action();
    } catch (error) {
      notice(error.message, true);
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
}

// onChoose makes a group of buttons of which one is pressed.
function onChoose(choices, chosen) {
  const buttons = Object.keys(choices).map($);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      chosen(choices[button.id]);
    });
  }
}

// Who you are, and what is in the token.

let shownToken = "access_token";

const outside = ["signed-out", "token-none"];
const inside = ["signed-in", "token", ...(broker ? ["session", "sessions"] : [])];

// show shows the tokens that there are now, and nothing that came by others.
async function show(mayRefresh = true) {
  clearAnswers();
  const tokens = oidc.tokens.get();
  if (!tokens) return swap(outside, inside, "sign-in");
  swap(inside, outside, "refresh");
  showClaims();
  tick();
  enable($("refresh"), tokens.refresh_token);
  try {
    const person = await oidc.userinfo();
    if (isCurrent(tokens)) showProfile(person);
  } catch (problem) {
    if (!isCurrent(tokens)) return;
    // The token may be of an application or a provider that has been restarted.
    if (!mayRefresh || problem.status !== 401 || !tokens.refresh_token) return forget(problem);
    try {
      await refresh();
    } catch (error) {
      return forget(error);
    }
    await show(false);
  }
}

function isCurrent(tokens) {
  return tokens?.access_token === oidc.tokens.get()?.access_token;
}

function forget(problem) {
  if (problem.status === 400 || problem.status === 401) {
    signedOut();
    notice("The login has come to its end. Sign in again.");
  } else {
    showProfile({});
    notice(problem.message, true);
  }
}

function showProfile(person) {
  const name = [person.first_name, person.last_name].filter(Boolean).join(" ") || person.username || "Somebody";
  $("who").textContent = name;
  $("initial").textContent = name[0].toUpperCase();
  $("email").textContent = person.email ?? "no e-mail address";
  showFacts($("profile"), { username: person.username, sub: person.sub });
}

function showClaims() {
  const claims = oidc.claims(oidc.tokens.get()[shownToken] ?? "");
  $("opaque").hidden = Boolean(claims);
  showFacts($("claims"), claims ?? {});
}

const dates = ["exp", "iat", "nbf", "auth_time"];

function showFacts(list, facts) {
  list.replaceChildren(...Object.entries(facts).filter(([, value]) => value !== undefined).map(([name, value]) => {
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    const shown = element("dd", {}, ...breakable(text));
    if (dates.includes(name)) shown.append(element("small", {}, new Date(value * 1000).toLocaleTimeString()));
    return element("div", {}, element("dt", {}, name), shown);
  }));
}

// The refresh token. In broker mode each refresh gives another.

let used = null; // the one that the last refresh used up, and when

async function refresh() {
  const { refresh_token } = oidc.tokens.get();
  await oidc.refresh();
  used = { token: refresh_token, at: Date.now() };
}

// reuse does what a client does that did not receive an answer, or a thief.
async function reuse() {
  const { refresh_token } = oidc.tokens.get();
  try {
    await oidc.refresh(used.token);
  } catch (problem) {
    if (problem.code === "invalid_grant") signedOut();
    throw problem;
  }
  if (oidc.tokens.get().refresh_token !== refresh_token) throw new Error("The answer has another successor than the first.");
  await show();
  notice("Forgiven: the answer has the same successor, which the page had already, and a new access token.");
}

function signedOut() {
  oidc.tokens.clear();
  used = null;
  show();
}

function showRefreshTokens({ refresh_token }) {
  // Their beginnings are the same, since they name the session.
  const end = (token) => (token ? `…${token.slice(-8)}` : "none");
  showFacts($("refresh-tokens"), {
    current: end(refresh_token),
    before: used ? `${end(used.token)}, used ${Math.round((Date.now() - used.at) / 1000)} s ago` : undefined,
  });
  enable($("reuse"), used);
}

// The sessions of this user, here and elsewhere.

async function showSessions() {
  const { sessions } = await oidc.sessions();
  const current = oidc.claims(oidc.tokens.get().access_token)?.sid;
  const time = (seconds) => new Date(seconds * 1000).toLocaleString();
  $("session-list").replaceChildren(...sessions.map(({ id, began, refreshed }) => {
    const end = element("button", { ariaLabel: `End the session that began ${time(began)}` }, "End");
    onClick(end, () => endSession(id, id === current));
    return element("li", {},
      element("div", {}, element("code", {}, `${id.slice(0, 8)}…`), element("span", {}, id === current ? "this one" : "another one")),
      element("span", {}, `began ${time(began)}, last refresh ${time(refreshed)}`), end);
  }));
}

async function endSession(id, current) {
  await oidc.endSession(id);
  if (current) {
    signedOut();
    return notice("This session has ended. Sign in again.");
  }
  $("list-sessions").focus();
  await showSessions();
  notice("The session has ended. Its next refresh is refused.");
}

// The countdowns, once a second.

function tick() {
  const tokens = oidc.tokens.get();
  if (!tokens) return;
  if (broker) showRefreshTokens(tokens);
  const left = Math.max(0, Math.ceil(tokens.expires - Date.now() / 1000));
  $("remaining").max = Math.max(tokens.expires_in, 1);
  $("remaining").value = left;
  const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  $("countdown").textContent = left ? `The access token has ${time} left.` : "The access token has expired: refresh it.";
}
setInterval(tick, 1000);

// Calling routes.

let sent = "mine";

function tokenToSend() {
  const token = oidc.tokens.get()?.access_token;
  if (sent === "none") return undefined;
  // A token with one character of its signature changed is somebody else's work.
  if (sent === "bad") return (token ?? "e30.e30.c2ln").replace(/.(?=.{8}$)/, (c) => (c === "A" ? "B" : "A"));
  return token;
}

async function call(button) {
  const [tokens, choice] = [oidc.tokens.get(), sent];
  const { status, body } = await oidc.request(button.dataset.path, { token: tokenToSend() });
  if (!isCurrent(tokens) || sent !== choice) return; // the answer is about what was before
  const message = body.message ?? body.detail ?? JSON.stringify(body);
  button.parentElement.querySelector("output").replaceChildren(pill(status), element("span", {}, ...breakable(message)));
}

// clearAnswers forgets what came by tokens that are not the current ones.
function clearAnswers() {
  for (const answer of document.querySelectorAll("output")) answer.replaceChildren();
  if (broker) $("session-list").replaceChildren();
  if (!waiting) $("device-state").textContent = "";
}

function pill(status) {
  return element("b", { className: `pill ${status >= 200 && status < 400 ? "good" : "bad"}` }, String(status || "—"));
}

// The log. It shows the beginnings of tokens and no more, as every log should.

oidc.observe(({ method, path, status, body }) => {
  const text = JSON.stringify(body, (name, value) => (/token$|_code$/.test(name) && name !== "user_code" ? shorten(value) : value), 2);
  $("log-empty").hidden = true;
  $("log").prepend(element("li", {}, element("details", {},
    element("summary", {}, pill(status), element("code", {}, ...breakable(`${method} ${path}`))),
    element("pre", { tabIndex: 0 }, text))));
  const last = $("log").children[30];
  if (last && !last.contains(document.activeElement)) last.remove();
});

function shorten(value) {
  return typeof value === "string" && value.length > 12 ? `${value.slice(0, 8)}…` : value;
}

// The device login.

let waiting = null;

async function device() {
  waiting = new AbortController();
  try {
    const started = await oidc.startDevice(scope());
    const link = new URL(started.verification_uri_complete ?? started.verification_uri);
    if (!["http:", "https:"].includes(link.protocol)) throw new Error("The provider's address is none for a browser.");
    $("user-code").textContent = started.user_code;
    $("verification").href = link.href;
    $("device-state").textContent = "Waiting for you …";
    swap(["device", "device-stop"], ["device-start"], "verification");
    await oidc.pollDevice(started, waiting.signal);
    used = null; // of another session
    showProfile({}); // of another user, maybe
    await show();
    $("device-state").textContent = "Approved. The page has the device’s tokens now.";
  } catch (error) {
    $("device-state").textContent = waiting.signal.aborted ? "Stopped." : error.message;
  } finally {
    waiting = null;
    swap(["device-start"], ["device", "device-stop"], "device-start");
  }
}

function scope() {
  return $("email-scope").checked ? "profile email" : "profile";
}

// Wiring.

onClick($("sign-in"), () => oidc.login(scope()));
onClick($("sign-out"), () => oidc.logout());
onClick($("refresh"), async () => {
  await refresh();
  await show();
  notice(broker ? "The page has a new access token, and another refresh token." : "The page has a new access token.");
});
onClick($("device-start"), device);
$("device-stop").addEventListener("click", () => waiting.abort());
for (const button of document.querySelectorAll("[data-path]")) onClick(button, () => call(button));
if (broker) {
  onClick($("reuse"), reuse);
  onClick($("list-sessions"), showSessions);
} else {
  onChoose({ "show-access": "access_token", "show-id": "id_token" }, (token) => {
    shownToken = token;
    showClaims();
  });
}
onChoose({ "with-mine": "mine", "with-none": "none", "with-bad": "bad" }, (choice) => {
  sent = choice;
  clearAnswers();
});

// Coming back by the browser's back button, the page may be as it was left.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  notice("");
  show();
});

if (!window.isSecureContext || location.origin !== origin) {
  notice(`This page works at ${origin} only: providers and browsers tell addresses apart.`, true);
}
for (const code of document.querySelectorAll("code")) code.replaceChildren(...breakable(code.textContent));
$("client").hidden = false;
try {
  if (await oidc.finish() === "logout") notice("You are signed out.");
} catch (error) {
  notice(error.message, true);
}
await show();
