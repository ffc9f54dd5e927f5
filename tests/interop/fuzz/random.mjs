// Random numbers from a seed, also for the package: a history comes out the same each time.

/** A small generator (mulberry32). */
export function generator(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    below: bound => Math.floor(next() * bound),
    chance: percent => next() * 100 < percent,
    of: list => list[Math.floor(next() * list.length)],
  }
}

/** From here on everything in this process that asks for random bytes gets those of a generator. */
export function replaceRandomBytes(t) {
  let random = generator(1)
  // Not a mock of the test runner, which would keep every call.
  const { getRandomValues } = globalThis.crypto
  t.after(() => {
    globalThis.crypto.getRandomValues = getRandomValues
  })
  globalThis.crypto.getRandomValues = bytes => {
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = random.below(256)
    return bytes
  }
  return seed => {
    random = generator(seed)
  }
}

/** A number from the environment of the test run. */
export function setting(name, initial) {
  const text = process.env[name]
  if (text === undefined) return initial
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} must be a number, not ${text}`)
  return value
}
