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
  })
}

// control has something happen outside of the browsers, and tells what has happened so far.
export async function control(what, query) {
  const answer = await fetch(`${target.control}/${what}?${new URLSearchParams(query)}`, { method: 'POST' })
  if (!answer.ok) throw new Error(await answer.text())
  return answer.json()
}

// follow clicks what leads to another page, and waits for that.
export async function follow(page, selector) {
  await Promise.all([page.waitForNavigation(), page.locator(selector).click()])
}

// signIn fills in the provider's form, and waits for the page that this leads to.
export async function signIn(page, user) {
  await page.locator('#username').fill(user.name)
  await page.locator('#password').fill(user.password)
  await follow(page, 'button[value=login]')
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

// axe fails when the page breaks a rule of accessibility.
export async function axe(page) {
  await page.evaluate(axeCore)
  const { violations } = await page.evaluate(() => window.axe.run())
  const found = violations.map(({ id, help, nodes }) => `${id} (${help}) at ${nodes.map((node) => node.target).join(', ')}`)
  if (found.length > 0) throw new Error(`axe finds at ${page.url()}: ${found.join('; ')}`)
}
