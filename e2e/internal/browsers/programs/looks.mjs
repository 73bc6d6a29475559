// Every page of the library, and those of the demo's provider, as different people see them.
import assert from 'node:assert/strict'
import { at, axe, control, follow, launch, newContext, screenshot, signedIn, signIn, target, text } from './driver.mjs'

// looks are how people have set their browsers up.
const looks = {
  light: {},
  dark: { prefs: { 'layout.css.prefers-color-scheme.content-override': 0 }, media: { name: 'prefers-color-scheme', value: 'dark' } },
  narrow: { viewport: { width: 390, height: 844 } },
  'forced colours': { prefs: { 'browser.display.document_color_use': 2 }, media: { name: 'forced-colors', value: 'active' } },
}

// pages are ways to each of them, by the title.
const pages = {
  'Sign in': (page) => page.goto(at('/orders')),
  'Sign-in failed': (page) => page.goto(at('/api/auth/v2/callback?code=x&state=y')),
  async 'Sign out?'(page) {
    await signedIn(page)
    await page.goto(at('/api/auth/v2/logout'))
  },
  async 'No access'(page) {
    await signedIn(page)
    await page.goto(at('/boss'))
  },
  async 'Signed out: the form was not sent'(page) {
    await signedIn(page)
    await control('revoke', { subject: 'user-alice' })
    await page.locator('[name=what]').fill('tea')
    await follow(page, '#order')
  },
  async 'This was not done'(page) {
    await signedIn(page)
    await page.goto(target.blog)
    await Promise.all([page.waitForNavigation(), page.evaluate((action) => {
      const form = Object.assign(document.createElement('form'), { method: 'post', action })
      document.body.append(form)
      form.submit()
    }, at('/orders'))])
  },
  async 'Not available at the moment'(page) {
    await signedIn(page)
    await control('later', { by: '2h' })
    await control('provider', { down: true })
    await page.reload().finally(() => control('provider', { down: false }))
  },
}

export const scenarios = Object.fromEntries(Object.entries(looks).map(([name, look]) => [`pages are good to read: ${name}`, async () => {
  const browser = await launch({ extraPrefsFirefox: look.prefs })
  try {
    for (const [title, open] of Object.entries(pages)) await seen(browser, name, look, title, open)
  } finally {
    await browser.close()
  }
}]))

// seen opens a page in a look, and holds it against what all people need.
async function seen(browser, name, look, title, open) {
  const context = await newContext(browser)
  try {
    const page = await context.newPage()
    await set(page, look)
    await open(page)
    assert.equal(await text(page, 'h1'), title)
    await screenshot(page, `${title} ${name}`)
    await axe(page)
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    assert.ok(wide <= 0, `${title} is ${wide} px too wide`)
  } finally {
    await context.close()
  }
}

// set does in Chromium what preferences do in Firefox, and makes sure of both.
async function set(page, { media, viewport }) {
  if (viewport) await page.setViewport(viewport)
  if (!media) return
  if (target.browser === 'chrome') {
    const session = await page.createCDPSession()
    await session.send('Emulation.setEmulatedMedia', { features: [media] })
  }
  assert.ok(await page.evaluate(({ name, value }) => matchMedia(`(${name}: ${value})`).matches, media), media.name)
}
