// Files and streams behind a guard.
import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { at, control, signedIn, signIn, target, until } from './driver.mjs'

export const scenarios = {
  async 'a file is downloaded'(page) {
    await signedIn(page)
    await page.locator('#file').click()
    await downloaded()
  },

  async 'a link to a file leads through the login'(page) {
    await page.goto(at('/file'))
    await signIn(page, target.user).catch(() => {}) // a download leads to no page
    await downloaded()
  },

  async 'a script hears that nobody is signed in, and gets no page of the provider'(page) {
    await page.goto(at('/app'))
    const answer = await page.evaluate(() => fetch('/file').then((r) => [r.status, r.headers.get('content-type')]))
    assert.deepEqual(answer, [401, 'application/json'])
  },

  async 'a stream begins with a session alone'(page) {
    await signedIn(page)
    assert.equal(await page.evaluate(firstEvent), 'user-alice')
    await control('revoke', { subject: 'user-alice' })
    assert.equal(await page.evaluate(firstEvent), 'refused')
  },
}

// downloaded waits until the file is there.
async function downloaded() {
  const file = join(target.downloads, 'orders.csv')
  assert.equal(await until(() => readFile(file, 'utf8').catch(() => '')), 'what\ntea\n')
  await rm(file)
}

function firstEvent() { // this runs in pages
  return new Promise((resolve) => {
    const events = new EventSource('/events')
    const end = (what) => { events.close(); resolve(what) }
    events.onmessage = ({ data }) => end(data)
    events.onerror = () => end('refused')
  })
}
