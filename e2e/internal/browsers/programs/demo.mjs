// The demo's pages, at its own provider.
import assert from 'node:assert/strict'
import { axe, follow, screenshot, signIn, target, text } from './driver.mjs'

export const scenarios = {
  async 'signs in at the provider, and shows who it is'(page) {
    await page.goto(target.url)
    await text(page, '#sign-in')
    await axe(page)
    await screenshot(page, 'demo signed out')

    await follow(page, '#sign-in')
    await axe(page)
    await screenshot(page, 'provider')

    await signIn(page, target.user)
    assert.equal(await text(page, '#who'), 'Alice Liddell')
    await axe(page)
    await screenshot(page, 'demo signed in')
  },

  async 'holds tokens in a page of its own'(page) {
    await page.goto(`${target.url}tokens`)
    await text(page, '#sign-in')
    await axe(page)
    await screenshot(page, 'tokens signed out')

    await follow(page, '#sign-in')
    await signIn(page, target.user)
    assert.equal(await text(page, '#who'), 'Alice Liddell')
    await axe(page)
    await screenshot(page, 'tokens signed in')
  },
}
