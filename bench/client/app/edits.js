// Made-up editing that is the same in every run: somebody types, jumps about, deletes, and goes on.

const WORDS = 'a the of to rain over roof garden walks before nobody quietly another table'.split(' ')
/** How many of a hundred runs are taken back in part. */
const DELETED_PERCENT = 25

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
export function word(pick) {
  return `${WORDS[pick(WORDS.length)]} `
}

/**
 * Runs of edits `{ index, insert }` or `{ index, delete }`, until there are `length` characters: so many
 * words at one place, letter by letter or pasted, then the caret jumps.
 */
export function* editsUpTo(length, { runWords, isPasted }) {
  const pick = random(1)
  let written = 0
  while (written < length) {
    const start = pick(written + 1)
    const passage = Array.from({ length: runWords }, () => word(pick)).join('')
    const caret = start + passage.length
    const run = isPasted
      ? [{ index: start, insert: passage }]
      : [...passage].map((insert, offset) => ({ index: start + offset, insert }))
    written += caret - start
    if (pick(100) < DELETED_PERCENT) {
      const deleted = Math.floor((caret - start) / 3)
      run.push({ index: caret - deleted, delete: deleted })
      written -= deleted
    }
    yield run
  }
}
