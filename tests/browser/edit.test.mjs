// The arithmetic of the notes example on random text, without a browser.

import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { createServer } from 'vite'

const ROUNDS = 3_000
const LETTERS = ['a', 'a', 'b', '\n', 'é', '😀', '😁', '👍🏽']

let vite
let edit

before(async () => {
  const root = fileURLToPath(new URL('../../examples/notes', import.meta.url))
  vite = await createServer({ root, configFile: false, logLevel: 'error', server: { middlewareMode: true, ws: false } })
  edit = await vite.ssrLoadModule('/src/edit.ts')
})
after(() => vite.close())

/** Numbers below `limit` from a seed, the same ones in every run. */
function randomFrom(seed) {
  let state = seed
  return limit => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

function randomLetters(random, countMax) {
  return Array.from({ length: random(countMax + 1) }, () => LETTERS[random(LETTERS.length)])
}

function hasLoneSurrogate(text) {
  return /\p{Surrogate}/u.test(text)
}

it('an input becomes the edit that was made, and never half a character', () => {
  for (let seed = 0; seed < ROUNDS; seed += 1) {
    const random = randomFrom(seed)
    const letters = randomLetters(random, 12)
    const from = random(letters.length + 1)
    const to = from + random(letters.length - from + 1)
    const inserted = randomLetters(random, 3).join('')
    const before = letters.join('')
    const head = letters.slice(0, from).join('') + inserted
    const after = head + letters.slice(to).join('')

    const found = edit.editBetween(before, after, head.length)
    if (found === null) {
      assert.equal(before, after, `seed ${seed}`)
      continue
    }
    const { start, end, insert } = found
    assert.equal(before.slice(0, start) + insert + before.slice(end), after, `seed ${seed}`)
    for (const part of [before.slice(0, start), before.slice(start, end), before.slice(end), insert]) {
      assert.ok(!hasLoneSurrogate(part), `seed ${seed} cuts a character: ${JSON.stringify(found)}`)
    }
    assert.ok(insert.length <= inserted.length + 1 && end - start <= letters.slice(from, to).join('').length + 1, `seed ${seed} is not small`)
  }
})

it('places and ranges move with their letters through changes of others', () => {
  for (let seed = 0; seed < ROUNDS; seed += 1) {
    const random = randomFrom(seed)
    const length = random(20)
    // Every letter is a number of its own, so that it can be found again.
    const before = Array.from({ length }, (_, i) => i)
    const delta = []
    const after = []
    for (let at = 0; at < length;) {
      const count = 1 + random(Math.min(4, length - at))
      const kind = random(3)
      if (kind === 0) {
        delta.push({ retain: count })
        after.push(...before.slice(at, at + count))
        at += count
      } else if (kind === 1) {
        delta.push({ delete: count })
        at += count
      } else {
        delta.push({ insert: 'x'.repeat(count) })
        after.push(...Array.from({ length: count }, () => 'x'))
      }
    }
    const shown = edit.editsOf(delta).reduce((text, { start, end, insert }) => [...text.slice(0, start), ...insert, ...text.slice(end)], before)
    assert.deepEqual(shown, after, `seed ${seed}`)

    const start = random(length + 1)
    const end = start + random(length - start + 1)
    const kept = edit.rangeAfter(start, end, delta).flatMap(([from, to]) => after.slice(from, to))
    assert.deepEqual(kept, before.slice(start, end).filter(letter => after.includes(letter)), `seed ${seed}`)

    const place = edit.placeAfter(start, delta)
    const left = before.slice(0, start).filter(letter => after.includes(letter))
    assert.deepEqual(after.slice(0, place).filter(letter => letter !== 'x'), left, `seed ${seed}`)
  }
})
