// What the clients in this folder share: what they are told, a person who signs in, and
// the report of a step.
import assert from 'node:assert/strict'

export { step } from './report.mjs' // the harness puts it there

// target is the application, and who signs in there.
export const target = JSON.parse(process.env.E2E_TARGET)
export const at = (path) => target.api + path

// signIn has a person sign in at a login URL, and gives the URL of the answer.
export async function signIn(url) {
  return new URL(await person('sign-in', { url }))
}

// decide has a person approve or refuse a device.
export async function decide(device, decision) {
  await person('device', { uri: device.verification_uri_complete, code: device.user_code, decision })
}

async function person(does, query) {
  const answer = await fetch(`${target.person}/${does}?${new URLSearchParams(query)}`)
  const text = await answer.text()
  assert.equal(answer.status, 200, text)
  return text
}

// refused runs what must fail, and gives the error.
export async function refused(run) {
  const nothing = Symbol()
  const error = await Promise.resolve(run()).then(() => nothing, (error) => error)
  assert.notEqual(error, nothing, 'nothing was refused')
  return error
}

// scopes are those of a token answer, in order.
export const scopes = (tokens) => tokens.scope.split(' ').sort().join(' ')
