// What scenarios share: what they are told, a browser, and what a person does.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import puppeteer from 'puppeteer-core'

// target is the browser, and the application with its people.
export const target = JSON.parse(process.env.E2E_TARGET)

// launch starts the browser; its certificates are not those of anybody.
export async function launch(options) {
  const root = process.getuid() === 0 // for whom Chromium has no sandbox
  return puppeteer.launch({
    browser: target.browser,
    executablePath: target.program,
    acceptInsecureCerts: true,
    args: target.browser === 'chrome' && root ? ['--no-sandbox'] : [],
    ...options,
    extraPrefsFirefox: {
      'browser.download.dir': target.downloads,
      'browser.download.folderList': 2,
      'dom.confirm_repost.testing.always_accept': true, // a person is asked whether a reload is to send the form again
      ...options?.extraPrefsFirefox,
    },
  })
}

// newContext gives a context in which nobody is signed in.
export const newContext = (browser) => browser.createBrowserContext({
  downloadBehavior: { policy: 'allow', downloadPath: target.downloads },
})

// sendForm has the page send an empty form to an address.
export async function sendForm(page, address) {
  await Promise.all([page.waitForNavigation(), page.evaluate((action) => {
    const form = Object.assign(document.createElement('form'), { method: 'post', action })
    document.body.append(form)
    form.submit()
  }, address)])
}

// until asks until there is an answer, for ten seconds.
export async function until(ask) {
  for (const end = Date.now() + 10_000; ;) {
    const answer = await ask()
    if (answer || Date.now() > end) return answer
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

// control has something happen outside of the browsers, and tells what has happened so far.
export async function control(what, query) {
  const answer = await fetch(`${target.control}/${what}?${new URLSearchParams(query)}`, { method: 'POST' })
  if (!answer.ok) throw new Error(await answer.text())
  return answer.json()
}

// follow clicks what leads to another page, and waits for that. A person sees the tab.
export async function follow(page, selector) {
  await page.bringToFront()
  await Promise.all([page.waitForNavigation(), page.locator(selector).click()])
}

// signIn fills in the provider's form, and waits for the page that this leads to.
export async function signIn(page, user) {
  await page.bringToFront()
  await page.locator('#username').fill(user.name)
  await page.locator('#password').fill(user.password)
  await follow(page, 'button[value=login]')
}

// at is the URL of a path of the application.
export const at = (path) => target.url + path

// signedIn opens a page of the shop, for which somebody has to sign in.
export async function signedIn(page, path = '/orders', user = target.user) {
  await page.goto(at(path))
  await signIn(page, user)
}

// whoIs is the subject of the session that the browser has, undefined for none.
export async function whoIs(page) {
  const answer = await page.goto(at('/me'))
  return answer.ok() ? (await answer.json()).sub : undefined
}

// sessionCookie is the cookie of a browser's session.
export async function sessionCookie(context) {
  return (await context.cookies()).find(({ name }) => name.includes('oidcgate-session'))
}

// text is what a person reads there, as soon as it is there.
export async function text(page, selector) {
  const element = await page.waitForSelector(selector, { visible: true })
  return element.evaluate((e) => e.innerText)
}

// screenshot keeps what the page shows, for people to look at.
export async function screenshot(page, name) {
  const file = `${target.browser} ${name}`.replaceAll(/[^\w]+/g, '-') + '.png'
  await page.screenshot({ path: join(target.screenshots, file), fullPage: true })
}

const axeCore = await readFile(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

// axe fails when the page breaks a rule of accessibility, but for some. The ground that a page
// leaves to the browser it would take for white.
export async function axe(page, ...without) {
  await page.evaluate(axeCore)
  await page.evaluate(() => { document.documentElement.style.backgroundColor ||= 'Canvas' })
  const rules = Object.fromEntries(without.map((rule) => [rule, { enabled: false }]))
  const { violations } = await page.evaluate((rules) => window.axe.run({ rules }), rules)
  const found = violations.map(({ id, help, nodes }) => `${id} (${help}) at ${nodes.map((node) => node.target).join(', ')}`)
  if (found.length > 0) throw new Error(`axe finds at ${page.url()}: ${found.join('; ')}`)
}
