// People without a mouse, and browsers without scripts.
import assert from 'node:assert/strict'
import { at, control, launch, newContext, target, text } from './driver.mjs'

export const scenarios = {
  async 'the keyboard alone signs in, sends a form and signs out'(page) {
    await page.goto(at('/orders'))
    await focus(page, '#username')
    await page.keyboard.type(target.user.name)
    await focus(page, '#password')
    await page.keyboard.type(target.user.password)
    await enter(page)
    assert.equal(await text(page, 'h1'), 'Orders of Alice Liddell')

    await focus(page, '[name=what]')
    await page.keyboard.type('tea')
    await enter(page)
    assert.equal(await text(page, '#query'), 'ordered=tea')

    await page.goto(at('/api/auth/v2/logout'))
    await focus(page, 'button')
    await enter(page)
    assert.equal(await text(page, 'h1'), 'Signed out')
  },

  async 'a session needs no script'() { // so this uses the keyboard too: a click needs one
    const browser = await launch({ extraPrefsFirefox: { 'javascript.enabled': false } })
    try {
      const page = await (await newContext(browser)).newPage()
      if (target.browser === 'chrome') await page.setJavaScriptEnabled(false)
      await page.goto(at('/orders?page=2'))
      await keys(page, target.user.name, 'Tab', target.user.password)
      await enter(page)
      assert.equal(page.url(), at('/orders?page=2'))
      const before = await control('look')
      await keys(page, 'Tab', 'tea')
      await enter(page)
      assert.equal((await control('look')).orders, before.orders + 1)
      assert.equal((await page.goto(at('/me'))).status(), 200)
      await page.goto(at('/api/auth/v2/logout'))
      await keys(page, 'Tab')
      await enter(page)
      assert.equal((await page.goto(at('/me'))).status(), 401)
    } finally {
      await browser.close()
    }
  },
}

// keys types texts, and presses the tab key. The first field has the focus, where there is one.
async function keys(page, ...typed) {
  for (const text of typed) await (text === 'Tab' ? page.keyboard.press('Tab') : page.keyboard.type(text))
}

// focus goes on with the tab key until the focus is there, and can be seen.
async function focus(page, selector) {
  for (let i = 0; i < 20; i++) {
    const found = await page.evaluate((selector) => {
      const { activeElement: e } = document
      return e.matches(selector) && (e.matches(':focus-visible') && getComputedStyle(e).outlineStyle !== 'none' ? 'seen' : 'unseen')
    }, selector)
    if (found) return assert.equal(found, 'seen', selector)
    await page.keyboard.press('Tab')
  }
  throw new Error(`the tab key does not lead to ${selector}`)
}

async function enter(page) {
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
}
