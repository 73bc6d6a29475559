// Browser sessions for a single-page application on the origin of oidcgate's routes: copy this file.
// It sees no token, because the browser sends the session's cookie by itself.
//
//   const auth = oidcgate({ onChange: (user) => show(user) });
//   show(await auth.whoAmI()); // { sub, username, name, email, roles, scope, expires }, or null
//
// mount is the path of the routes. onChange is called when there is news: null if the session has
// ended, here or in another tab. Offer to sign in then, but don't leave a page that has unsaved work.
export function oidcgate({ mount = "/api", onChange = () => {} } = {}) {
  const route = (name) => `${mount}/auth/v2/${name}`;
  const tabs = new BroadcastChannel(`oidcgate ${mount}`); // the other tabs of this origin
  let user; // the promise of the last answer, undefined before the first

  async function ask() {
    const response = await fetch(route("session"), { credentials: "same-origin", cache: "no-store" });
    if (response.status === 401) return null;
    if (!response.ok) throw new Error(`The session route answered ${response.status}.`); // an outage, not the end
    return response.json();
  }
  const whoAmI = () => (user ??= ask().catch((error) => { user = undefined; throw error; }));
  async function look() { // asks again, and tells what is news
    const before = await user?.catch(() => undefined);
    const now = await ask();
    user = Promise.resolve(now);
    if (before && !now) tabs.postMessage("ended");
    if (before === undefined || before?.sub !== now?.sub) onChange(now);
  }
  tabs.onmessage = () => { user = Promise.resolve(null); onChange(null); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden && user) look().catch(() => {}); });

  function signIn(parameters) { // leaves the page, and comes back to it with a session
    const path = location.pathname.replace(/^\/+/, "/"); // "//host/" would be another site
    const here = (path + location.search + location.hash).replaceAll("\\", "%5C");
    const query = new URLSearchParams({ return_to: here.length > 2048 ? path : here, ...parameters });
    location.assign(`${route("login")}?${query}`);
  }
  function signInSilently() { // the same without a question; comes back without a session if one is needed
    try { // at most once a minute in a tab, so that it is never a loop: false if it is too early
      if (Date.now() - sessionStorage.getItem("oidcgate silent") < 60_000) return false;
      sessionStorage.setItem("oidcgate silent", Date.now());
    } catch { return false; } // nothing can be remembered
    signIn({ prompt: "none" });
    return true;
  }
  function signOut(returnTo) { // here and at the provider, which leads to the URL returnTo if there is one
    const form = Object.assign(document.createElement("form"), { method: "post", action: route("logout") });
    const field = { type: "hidden", name: "post_logout_redirect_uri", value: returnTo };
    if (returnTo) form.append(Object.assign(document.createElement("input"), field));
    document.body.append(form);
    tabs.postMessage("ended");
    form.submit();
  }
  async function call(resource, options) { // fetch, and a look whether the session has ended after a 401
    const response = await fetch(resource, { ...options, credentials: "same-origin" });
    if (response.status === 401) look().catch(() => {});
    return response;
  }
  return { whoAmI, signIn: () => signIn(), signInSilently, signOut, call };
}
