// The report of a step, for programs in Node.

// step reports how one step went, as a line of JSON.
export async function step(name, run) {
  let error
  try {
    await run()
  } catch (e) {
    error = explain(e)
  }
  console.log(JSON.stringify({ name, error }))
}

// explain keeps to the errors' own words: what they carry beside them may be an
// answer with its tokens.
function explain(error) {
  const words = []
  for (let e = error; e instanceof Error; e = e.cause) {
    words.push([e.name, e.message, e.error, e.error_description].filter(Boolean).join(' '))
  }
  return (words.join(', because of ') || String(error)).replaceAll(/\s+/g, ' ')
}
