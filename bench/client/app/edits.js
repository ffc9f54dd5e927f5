// Made-up editing that is the same in every run: somebody types, jumps about, deletes, and goes on.

const WORDS = 'a the of to rain over roof garden walks before nobody quietly another table'.split(' ')
/** How many of a hundred runs are taken back in part. */
const DELETED_PERCENT = 25

/** Numbers below 1, always the same ones (mulberry32). */
function makeRandom(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/**
 * Runs of edits `{ index, insert }` or `{ index, delete }`, until there are `length` characters: so many
 * words at one place, letter by letter or pasted, then the caret jumps.
 */
export function* editsUpTo(length, { runWords, isPasted }) {
  const random = makeRandom(1)
  let written = 0
  while (written < length) {
    const start = Math.floor(random() * (written + 1))
    const words = Array.from({ length: runWords }, () => WORDS[Math.floor(random() * WORDS.length)])
    const passage = `${words.join(' ')} `
    const caret = start + passage.length
    const run = isPasted
      ? [{ index: start, insert: passage }]
      : [...passage].map((insert, offset) => ({ index: start + offset, insert }))
    written += caret - start
    if (random() * 100 < DELETED_PERCENT) {
      const deleted = Math.floor((caret - start) / 3)
      run.push({ index: caret - deleted, delete: deleted })
      written -= deleted
    }
    yield run
  }
}
