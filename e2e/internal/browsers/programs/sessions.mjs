// A session by cookie, from the login to the end.
import assert from 'node:assert/strict'
import { axe, at, control, follow, newContext, sessionCookie, signedIn, signIn, target, text, whoIs } from './driver.mjs'

export const scenarios = {
  async 'a link leads through the login to its page and query'(page) {
    await page.goto(at('/orders?page=2&for=a%20b%2Fc'))
    assert.ok(page.url().startsWith('http://127.0.0.1:'), page.url())
    await signIn(page, target.user)
    assert.equal(page.url(), at('/orders?page=2&for=a%20b%2Fc'))
    assert.equal(await text(page, 'h1'), 'Orders of Alice Liddell')
    assert.equal(await text(page, '#query'), 'page=2&for=a%20b%2Fc')
  },

  async 'no script can read the cookie, and its name says that it is of this host alone'(page, context) {
    await signedIn(page)
    assert.equal(await page.evaluate(() => document.cookie), '')
    const cookie = await sessionCookie(context)
    assert.match(cookie.name, /^__Host-oidcgate-session-[0-9a-f]{8}$/)
    assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite === 'Lax', JSON.stringify({ ...cookie, value: '' }))
  },

  async 'twenty tabs at the end of the access lifetime ask the provider once'(page, context) {
    await signedIn(page)
    const tabs = [page]
    while (tabs.length < 20) tabs.push(await context.newPage())
    await Promise.all(tabs.map((tab) => tab.goto(at('/orders'))))
    const before = await control('later', { by: '16m' })
    await Promise.all(tabs.map((tab) => tab.reload()))
    for (const tab of tabs) assert.equal(await text(tab, 'h1'), 'Orders of Alice Liddell')
    const after = await control('look')
    assert.deepEqual([after.tokens - before.tokens, after.logins - before.logins], [1, 0])
  },

  async 'a sign-out in one tab is seen in the others'(page, context) {
    await signedInApp(page)
    const other = await context.newPage()
    await other.goto(at('/app'))
    await shows(other, 'signed in as Alice Liddell')
    await follow(page, '#sign-out')
    await shows(other, 'signed out')
  },

  async 'a session that was ended elsewhere is noticed when its tab is looked at'(page, context) {
    await signedInApp(page)
    const other = await context.newPage()
    await other.bringToFront()
    await control('revoke', { subject: 'user-alice' })
    await page.bringToFront()
    await shows(page, 'signed out')
  },

  async 'the back button shows nothing after a sign-out'(page) {
    await signedIn(page)
    await follow(page, '#sign-out')
    await page.goBack()
    assert.ok(!(await page.content()).includes('Alice'), page.url())
  },

  async 'who goes back to the callback stays signed in'(page) {
    await signedIn(page, '/orders?page=2')
    await page.goBack()
    await page.goForward()
    assert.equal(await text(page, 'h1'), 'Orders of Alice Liddell')
  },

  async 'a form that is sent when the session has ended is not lost in silence'(page) {
    await signedIn(page)
    const before = await control('revoke', { subject: 'user-alice' })
    await page.locator('[name=what]').fill('tea')
    await follow(page, '#order')
    assert.equal(await text(page, 'h1'), 'Signed out: the form was not sent')
    await axe(page)
    assert.equal((await control('look')).orders, before.orders)
  },

  async 'a form that was not sent is sent by a reload after the sign-in'(page, context) {
    await signedIn(page)
    const before = await control('revoke', { subject: 'user-alice' })
    await page.locator('[name=what]').fill('tea')
    await follow(page, '#order')
    const other = await context.newPage()
    await other.goto(at('/api/auth/v2/login')) // the provider still knows who it is
    await page.bringToFront()
    await page.reload()
    assert.equal(await text(page, '#query'), 'ordered=tea')
    assert.equal((await control('look')).orders, before.orders + 1)
  },

  async 'who may not see a page can sign in as somebody else'(page) {
    await signedIn(page)
    await page.goto(at('/boss'))
    await follow(page, 'a')
    await signIn(page, { name: 'bob', password: 'builder' })
    assert.equal(page.url(), at('/boss'))
    assert.equal(await whoIs(page), 'user-bob')
  },

  async 'a sign-out without the provider ends the session here'(page) {
    await signedIn(page)
    await control('provider', { down: true })
    try {
      await follow(page, '#sign-out').catch(() => {}) // it leads to the provider
    } finally {
      await control('provider', { down: false })
    }
    assert.equal(await whoIs(page), undefined)
  },

  async 'an operator ends the session of somebody else'(page, context) {
    const other = await newContext(context.browser())
    try {
      const theirs = await other.newPage()
      await signedIn(theirs, '/orders', { name: 'bob', password: 'builder' })
      await signedIn(page, '/operations?subject=user-bob')
      await follow(page, 'li button[value=end]')
      assert.equal(await whoIs(theirs), undefined)
      assert.equal(await whoIs(page), 'user-alice')
    } finally {
      await other.close()
    }
  },

  async 'without the provider a session goes on, and nobody signs in'(page, context) {
    await signedIn(page)
    await control('later', { by: '16m' })
    await control('provider', { down: true })
    try {
      await page.reload()
      assert.equal(await text(page, 'h1'), 'Orders of Alice Liddell')
      await control('later', { by: '2h' })
      const answer = await page.reload()
      assert.equal(answer.status(), 503)
      assert.equal(await text(page, 'h1'), 'Not available at the moment')
      await axe(page)
    } finally {
      await control('provider', { down: false })
    }
    await follow(page, 'a')
    assert.equal(await text(page, 'h1'), 'Orders of Alice Liddell')
  },
}

// signedInApp is signedIn for the page whose script asks who is signed in.
async function signedInApp(page) {
  await page.goto(at('/app'))
  await follow(page, '#sign-in')
  await signIn(page, target.user)
  await shows(page, 'signed in as Alice Liddell')
}

async function shows(page, words) {
  await page.waitForFunction((words) => document.getElementById('user').textContent === words, { polling: 100 }, words)
}
