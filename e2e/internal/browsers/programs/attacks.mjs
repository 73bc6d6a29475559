// What others may try with a browser that has a session. The blog is of the same site, so that
// browsers send cookies with its requests; elsewhere is another site.
import assert from 'node:assert/strict'
import { at, control, follow, newContext, sendForm, sessionCookie, signedIn, signIn, target, text, whoIs } from './driver.mjs'

const mallory = { name: 'bob', password: 'builder' }
const others = { 'the blog': target.blog, 'elsewhere': target.elsewhere }

export const scenarios = {
  async 'a cookie is good for nothing after the sign-out, wherever it was copied to'(page, context) {
    await signedIn(page)
    const cookie = await sessionCookie(context)
    const thief = await newContext(context.browser())
    try {
      await thief.setCookie(cookie)
      const stolen = await thief.newPage()
      assert.equal(await whoIs(stolen), 'user-alice')
      await follow(page, '#sign-out')
      assert.equal(await whoIs(stolen), undefined)
    } finally {
      await thief.close()
    }
  },

  async 'a form of others does nothing'(page) {
    await signedIn(page)
    const before = await control('look')
    for (const origin of Object.values(others)) {
      await page.goto(origin)
      await sendForm(page, at('/orders'))
      assert.equal((await control('look')).orders, before.orders, origin)
    }
    assert.equal(await whoIs(page), 'user-alice')
  },

  async 'a form of others signs nobody out'(page) {
    await signedIn(page)
    for (const origin of Object.values(others)) {
      await page.goto(origin)
      await sendForm(page, at('/api/auth/v2/logout'))
      assert.equal(await whoIs(page), 'user-alice', origin)
    }
    await page.goto(at('/api/auth/v2/logout')) // as a link or an image
    assert.equal(await whoIs(page), 'user-alice')
  },

  async 'a fetch of others does nothing, and reads nothing'(page) {
    await signedIn(page)
    const before = await control('look')
    for (const origin of Object.values(others)) {
      await page.goto(origin)
      await page.evaluate((url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include' }).catch(() => {}), at('/orders'))
      const read = await page.evaluate((url) => fetch(url, { credentials: 'include' }).then((r) => r.text(), () => 'nothing'), at('/me'))
      assert.equal(read, 'nothing', origin)
      assert.equal((await control('look')).orders, before.orders, origin)
    }
  },

  async 'a WebSocket of others is not opened'(page) {
    await signedIn(page)
    const socket = at('/socket').replace('https', 'wss')
    assert.equal(await page.evaluate(openSocket, socket), 'echo')
    for (const origin of Object.values(others)) {
      await page.goto(origin)
      assert.equal(await page.evaluate(openSocket, socket), 'refused', origin)
    }
  },

  async 'a link signs nobody in as somebody else'(page, context) {
    const link = await callbackOf(mallory, context.browser())
    await page.goto(link)
    assert.equal(await text(page, 'h1'), 'Sign-in failed')
    assert.equal(await whoIs(page), undefined)
    await signedIn(page)
    await page.goto(link)
    assert.equal(await whoIs(page), 'user-alice')
  },

  async 'a cookie that was planted before the sign-in is worth nothing after it'(page, context) {
    const attacker = await newContext(context.browser())
    try {
      const theirs = await attacker.newPage()
      await signedIn(theirs, '/orders', mallory)
      const planted = await sessionCookie(attacker)
      await context.setCookie(planted)
      await page.goto(at('/api/auth/v2/login'))
      await signIn(page, target.user)
      assert.equal(await whoIs(page), 'user-alice')
      assert.notEqual((await sessionCookie(context)).value, planted.value)
      assert.equal(await whoIs(theirs), undefined)
    } finally {
      await attacker.close()
    }
  },

  async 'a cookie of the blog is ignored'(page, context) {
    const attacker = await newContext(context.browser())
    try {
      await signedIn(await attacker.newPage(), '/orders', mallory)
      const { name, value } = await sessionCookie(attacker)
      const toss = async () => {
        for (const tossed of [name, name.replace('__Host-', ''), name.replace('__Host-', '__host-')]) {
          for (const more of ['', '; Path=/api', '; Path=/me']) {
            const cookie = `${tossed}=${value}; Domain=shop.localhost; Secure${more || '; Path=/'}`
            await page.goto(`${target.blog}?${new URLSearchParams({ cookie })}`)
            await page.evaluate((cookie) => { document.cookie = cookie }, cookie)
          }
        }
      }
      await toss()
      assert.equal(await whoIs(page), undefined)
      await signedIn(page)
      await toss()
      assert.equal(await whoIs(page), 'user-alice')
    } finally {
      await attacker.close()
    }
  },
}

function openSocket(url) { // this runs in pages
  return new Promise((resolve) => {
    const socket = new WebSocket(url)
    socket.onopen = () => socket.send('echo')
    socket.onmessage = ({ data }) => resolve(data)
    socket.onerror = () => resolve('refused')
  })
}

// callbackOf is the link with which somebody's own login would end, unused.
async function callbackOf(user, browser) {
  const context = await newContext(browser)
  try {
    const page = await context.newPage()
    await page.goto(at('/api/auth/v2/login'))
    await page.setRequestInterception(true)
    const link = new Promise((resolve) => {
      page.on('request', (request) => {
        if (!request.url().startsWith(at('/api/auth/v2/callback'))) return request.continue()
        resolve(request.url())
        return request.abort()
      })
    })
    signIn(page, user).catch(() => {}) // it does not come to its end
    return await link
  } finally {
    await context.close()
  }
}
