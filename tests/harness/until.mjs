// Waits for something to become true, and says what did not.

const STEP_MS = 10

/** Waits until `condition()` is truthy and answers with it; `describe` may be a function. */
export async function until(condition, describe, waitMsMax = 60_000) {
  const deadline = performance.now() + waitMsMax
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) {
      const text = typeof describe === 'function' ? describe() : describe
      throw new Error(`Still not true after ${waitMsMax} ms: ${text}`)
    }
    await sleep(STEP_MS)
  }
}

export function sleep(ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}
