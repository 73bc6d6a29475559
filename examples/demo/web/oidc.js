// The client: what any page of yours needs to sign its users in, without a word
// about this page.
//
// Tokens are in sessionStorage: they survive a reload, end with the tab, are not
// shared with other tabs, and, unlike a cookie, are never sent by themselves, so
// that no foreign page can act with them. Every script of this origin can read
// them, though; that is why the application sends a Content-Security-Policy that
// lets no foreign script in. A duplicated tab has a copy of them: once both have
// refreshed, a broker must think that one of the two is a thief.

const { api, issuer } = document.documentElement.dataset;

// The page itself is the redirect URI.
const redirectURI = location.origin + location.pathname;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

// Problem is an answer that was no success. Its code is the application's
// "error", its message the sentence for a person.
export class Problem extends Error {
  constructor(status, body) {
    super(body?.error_description ?? body?.detail ?? `The application answered ${status}.`);
    this.status = status;
    this.code = body?.error;
  }
}

// observer is told about each request and its answer.
let observer = () => {};
export function observe(callback) {
  observer = callback;
}

// request calls a path below the application's prefix, and gives status and body.
export async function request(path, { form, token } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const method = form ? "POST" : "GET";
  let status = 0;
  let body = { detail: "The application can't be reached." };
  try {
    // Without cookies: a request without a token is to be nobody's, also where the browser has a session.
    const response = await fetch(api + path, { method, headers, body: form && new URLSearchParams(form), credentials: "omit" });
    status = response.status;
    body = await response.json();
  } catch (error) {
    if (status) body = { detail: `The answer is not JSON: ${error.message}` };
  }
  observer({ method, path: api + path, status, body });
  return { status, body };
}

async function demand(path, options) {
  const { status, body } = await request(path, options);
  if (status !== 200) throw new Problem(status, body);
  return body;
}

export const tokens = {
  get: () => JSON.parse(sessionStorage.getItem("tokens")),
  set: (value) => sessionStorage.setItem("tokens", JSON.stringify(value)),
  clear: () => sessionStorage.removeItem("tokens"),
};

// login leaves for the provider. The verifier never leaves this tab before the
// code is redeemed with it, so that a stolen code is worth nothing (RFC 7636);
// the state proves that the answer is to this request (RFC 6749, section 10.12).
export async function login(scope) {
  const verifier = random();
  const state = random();
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(verifier))));
  sessionStorage.setItem("login", JSON.stringify({ verifier, state }));
  location.assign(`${api}/auth/v2/login?` + new URLSearchParams({
    redirect_uri: redirectURI, scope, state, code_challenge: challenge, code_challenge_method: "S256",
  }));
}

// finish ends what login or logout has begun, once the provider has sent the
// browser back. It gives "login" or "logout", or null when there was neither.
export async function finish() {
  const answer = new URLSearchParams(location.search);
  if (!answer.has("state")) return null;
  // Neither the history nor a reload may see the code again.
  history.replaceState(null, "", location.pathname);
  if (answer.get("state") === take("logout")) return "logout";
  await redeem(answer, take("login"));
  return "login";
}

// take gives what this tab has remembered, once.
function take(name) {
  const value = JSON.parse(sessionStorage.getItem(name));
  sessionStorage.removeItem(name);
  return value;
}

// redeem gets tokens for the code in the provider's answer.
async function redeem(answer, begun) {
  if (!begun || answer.get("state") !== begun.state) {
    throw new Error("This is the answer to a login that did not begin in this tab. Sign in again.");
  }
  if (answer.has("iss") && answer.get("iss") !== issuer) {
    throw new Error("This is the answer of another provider (RFC 9207). Sign in again.");
  }
  if (answer.has("error")) {
    throw new Error(answer.get("error_description") || answer.get("error"));
  }
  tokens.set(await demand("/auth/v2/token", {
    form: {
      grant_type: "authorization_code", code: answer.get("code"),
      redirect_uri: redirectURI, code_verifier: begun.verifier,
    },
  }));
}

export function userinfo() {
  return demand("/auth/v2/userinfo", { token: tokens.get().access_token });
}

// sessions lists the sessions of this user, and endSession ends one of them.
export function sessions() {
  return demand("/sessions", { token: tokens.get().access_token });
}

export function endSession(session) {
  return demand("/sessions/end", { token: tokens.get().access_token, form: { session } });
}

// refresh redeems the refresh token that the page holds, or another one.
export async function refresh(refresh_token = tokens.get().refresh_token) {
  const old = tokens.get();
  const fresh = await demand("/auth/v2/token", { form: { grant_type: "refresh_token", refresh_token } });
  // A provider need not send a new ID token with a refresh; a broker has none.
  tokens.set({ ...fresh, id_token: fresh.id_token ?? old.id_token });
}

// logout forgets the tokens here and leads to the provider, to be signed out
// there as well. On the way a broker ends the session that the refresh token is
// of: it goes in a form, since URLs end up in logs. The state comes back when it is
// done (OpenID Connect RP-Initiated Logout 1.0, section 3).
export function logout() {
  const { refresh_token } = tokens.get();
  const state = random();
  tokens.clear();
  sessionStorage.setItem("logout", JSON.stringify(state));
  const form = document.createElement("form");
  form.method = "post";
  form.action = `${api}/auth/v2/logout`;
  for (const [name, value] of Object.entries({ refresh_token, post_logout_redirect_uri: redirectURI, state })) {
    if (value) form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  document.body.append(form);
  form.submit();
}

export function startDevice(scope) {
  return demand("/auth/v2/device", { form: { scope } });
}

// pollDevice waits until somebody has approved the device (RFC 8628, section
// 3.5), or the signal ends it.
export async function pollDevice(device, signal) {
  let seconds = device.interval;
  const end = Date.now() + device.expires_in * 1000;
  while (Date.now() < end) {
    await pause(seconds, signal);
    try {
      tokens.set(await demand("/auth/v2/token", {
        form: { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: device.device_code },
      }));
      return;
    } catch (problem) {
      if (problem.code === "slow_down") seconds += 5;
      // An answer without a code: out of reach for the moment.
      else if (problem.code && problem.code !== "authorization_pending") throw problem;
    }
  }
  throw new Error("The code has expired. Get a new one.");
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    signal.addEventListener("abort", abort, { once: true });
  });
}

// claims decodes a JWT for looking at. It checks nothing: that is for whoever
// relies on it. Of an opaque token it gives null.
export function claims(token) {
  try {
    const payload = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(decoder.decode(Uint8Array.from(payload, (c) => c.charCodeAt(0))));
  } catch {
    return null;
  }
}
