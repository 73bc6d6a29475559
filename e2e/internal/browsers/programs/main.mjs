// Runs the scenarios of the file that is named, each in a browser context of its own:
// nobody is signed in there, and nothing is stored.
import { launch, newContext, screenshot } from './driver.mjs'
import { step } from './report.mjs'

const { scenarios } = await import(`./${process.argv[2]}.mjs`)
const browser = await launch()
try {
  for (const [name, scenario] of Object.entries(scenarios)) await step(name, () => inContext(name, scenario))
} finally {
  await browser.close()
}

async function inContext(name, scenario) {
  const context = await newContext(browser)
  try {
    await scenario(await context.newPage(), context)
  } catch (error) {
    for (const [i, page] of (await context.pages()).entries()) {
      await screenshot(page, `failed ${name} ${i}`).catch(() => {}) // what failed is told already
    }
    throw error
  } finally {
    await context.close()
  }
}
