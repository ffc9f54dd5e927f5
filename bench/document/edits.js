// Made-up editing that is the same in every run.

const WORDS = 'a the of to rain over roof garden walks before nobody quietly another table'.split(' ')

/** Whole numbers below a bound, always the same ones (mulberry32). */
export function random(seed) {
  let state = seed
  return bound => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296 * bound)
  }
}

/** A word with a space behind it. */
export function words(pick) {
  return `${WORDS[pick(WORDS.length)]} `
}
