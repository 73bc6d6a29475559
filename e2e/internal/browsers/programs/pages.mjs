// Every page of the library, as different people see them.
import { at, control, follow, sendForm, signedIn, target } from './driver.mjs'
import { inEachLook } from './look.mjs'

export const scenarios = inEachLook({
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
    await sendForm(page, at('/orders'))
  },
  async 'Not available at the moment'(page) {
    await signedIn(page)
    await control('later', { by: '2h' })
    await control('provider', { down: true })
    await page.reload().finally(() => control('provider', { down: false }))
  },
  async 'Operations'(page) {
    await signedIn(page, '/operations?subject=user-alice')
  },
})
