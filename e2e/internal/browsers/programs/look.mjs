// How people have set their browsers up, and what they all need.
import assert from 'node:assert/strict'
import { axe, launch, newContext, screenshot, target, text } from './driver.mjs'

const looks = {
  light: {},
  dark: { prefs: { 'layout.css.prefers-color-scheme.content-override': 0 }, media: { name: 'prefers-color-scheme', value: 'dark' } },
  narrow: { viewport: { width: 390, height: 844 } },
  'forced colours': {
    prefs: { 'browser.display.document_color_use': 2 },
    media: { name: 'forced-colors', value: 'active' },
    without: ['color-contrast'], // people have chosen them
  },
}

// inEachLook gives a scenario for each look. pages are ways to them, by names that begin with
// the heading.
export const inEachLook = (pages) => Object.fromEntries(Object.entries(looks).map(([name, look]) => [`pages are good to read: ${name}`, async () => {
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
    const heading = await text(page, 'h1')
    assert.ok(title.startsWith(heading), `the page ${title} is headed ${heading}`)
    await screenshot(page, `${title} ${name}`)
    await axe(page, ...look.without ?? [])
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
