// The demo's page, and those of its provider.
import assert from 'node:assert/strict'
import { at, follow, signIn, target, text } from './driver.mjs'
import { inEachLook } from './look.mjs'

export const scenarios = {
  async 'signs in at the provider, and shows who it is'(page) {
    await enter(page)
    assert.equal(await text(page, '#who'), 'Alice Liddell')
  },

  ...inEachLook({
    'Sign in': (page) => page.goto(at('/notes')),
    'oidcgate demo': (page) => page.goto(at('/')),
    'oidcgate demo, signed in': enter,
    async 'oidcgate demo, notes'(page) {
      await enter(page)
      await page.goto(at('/notes?about=order+42'))
    },
    async 'oidcgate demo, tokens'(page) {
      await page.goto(at('/tokens'))
      await follow(page, '#sign-in')
      await signIn(page, target.user)
      await text(page, '#claims')
    },
    async 'Operations'(page) {
      await enter(page)
      await page.goto(at('/admin?subject=user-alice'))
    },
    async 'Connect a device'(page) {
      await page.goto(at('/tokens'))
      await page.locator('#device-start').click()
      const link = await page.waitForSelector('#verification[href]', { visible: true })
      await page.goto(await link.evaluate((a) => a.href))
    },
  }),
}

// enter signs in, and comes back to the page.
async function enter(page) {
  await page.goto(at('/'))
  await follow(page, '#sign-in')
  await signIn(page, target.user)
}
