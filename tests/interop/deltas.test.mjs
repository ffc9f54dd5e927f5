// Deltas of many steps on formatted text: they end as in Yjs.
//
// `COWEAVE_DELTAS=5000` makes so many, and `COWEAVE_DELTA_SEED=57` begins with that seed.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import * as Y from 'yjs'

import { canon } from './fuzz/compare.mjs'
import { generator, setting } from './fuzz/random.mjs'
import { Fresh, coweave, offline, turn, yjs } from './fuzz/sides.mjs'

const DELTAS = 200
const WORDS = ['a', 'word', 'two words', '🙂', 'x🙂y', '\n']
const FORMATS = [{}, {}, { bold: true }, { italic: true }, { bold: true, color: '#01' }]
const CHANGES = [...FORMATS, { bold: null }, { color: null, italic: null }, { color: '#02' }]
/** Some formats, as an object of their own: Yjs adds to those that it is given. */
const formats = (random, all) => ({ ...random.of(all) })

/** What a text holds at first: words, objects and shared types. */
function content(random) {
  return Array.from({ length: 20 + random.below(60) }, () => {
    const insert = random.chance(85) ? random.of(WORDS) : random.chance(50) ? { image: 'src' } : new Fresh('map', { a: 1 })
    return { insert, attributes: formats(random, FORMATS) }
  })
}

/** Steps from the beginning to the end of a text, with more deletions than are looked up one by one. */
function change(random, parts) {
  const pieces = parts.flatMap(({ insert }) => (typeof insert === 'string' ? [...insert].map(char => char.length) : [1]))
  const steps = []
  for (let at = 0; at < pieces.length;) {
    const count = Math.min(pieces.length - at, 1 + random.below(6))
    const length = pieces.slice(at, at + count).reduce((sum, units) => sum + units)
    at += count
    switch (random.below(5)) {
      case 0:
        steps.push({ retain: length, attributes: formats(random, CHANGES) })
        break
      case 1:
        steps.push({ retain: length })
        break
      default:
        steps.push({ delete: length })
    }
    if (random.chance(40)) steps.push(...content(random).slice(0, 1))
  }
  return steps
}

/** A text of a room and one of Yjs, with the same content and the same writer; what they write from then on. */
async function texts(room, content) {
  const [ours, theirs] = [room.doc, new Y.Doc()]
  const [mine, other] = [ours.text('text'), theirs.getText('text')]
  coweave.applyDelta(mine, content)
  await turn()
  Y.applyUpdate(theirs, ours.encodeState())
  ;[theirs.clientID] = Y.decodeStateVector(ours.encodeStateVector()).keys()
  const updates = []
  for (const doc of [ours, theirs]) doc.on('update', update => updates.push(Buffer.from(update)))
  return { mine, other, updates }
}

it('a delta of many steps ends as in Yjs, whatever formats are around, and for whoever takes it in', async t => {
  const first = setting('COWEAVE_DELTA_SEED', 1)
  const count = setting('COWEAVE_DELTAS', DELTAS)
  const client = offline()
  t.after(() => client.dispose())
  const bytes = [0, 0]
  for (let seed = first; seed < first + count; seed += 1) {
    const random = generator(seed)
    const room = client.room(`delta ${seed}`)
    await room.loaded
    const { mine, other, updates } = await texts(room, content(random))
    const steps = change(random, mine.toDelta())
    coweave.applyDelta(mine, steps)
    await turn()
    yjs.applyDelta(other, steps)
    const expected = canon(yjs, other)
    assert.equal(canon(coweave, mine), expected, `COWEAVE_DELTA_SEED=${seed}`)
    const reader = new Y.Doc()
    Y.applyUpdate(reader, room.doc.encodeState())
    assert.equal(canon(yjs, reader.getText('text')), expected, `COWEAVE_DELTA_SEED=${seed}`)
    updates.forEach((update, at) => {
      bytes[at] += update.length
    })
    room.dispose()
  }
  t.diagnostic(`${count} updates: ${bytes[0]} bytes, Yjs ${bytes[1]}`)
  assert.ok(bytes[0] < bytes[1] * 1.02, 'updates are as small as those of Yjs')
})

it('many words and parts of words are replaced in the bytes of Yjs', async t => {
  const client = offline()
  t.after(() => client.dispose())
  const words = Array.from({ length: 100 }, (_, at) => ({ insert: 'words ', attributes: at % 2 > 0 ? { bold: true } : {} }))
  const changes = {
    'inside of runs': [{ retain: 1 }, { delete: 2 }, { insert: 'x' }, { retain: 3 }],
    'from the beginning of runs': [{ delete: 2 }, { insert: 'x' }, { retain: 4 }],
    'up to the end of runs': [{ retain: 2 }, { delete: 4 }, { insert: 'x' }],
    'over the end of runs': [{ retain: 2 }, { delete: 5 }, { insert: 'x' }, { retain: 5 }],
  }
  for (const [name, steps] of Object.entries(changes)) {
    const room = client.room(name)
    await room.loaded
    const { mine, other, updates } = await texts(room, words)
    const all = words.flatMap((_, at) => (name.startsWith('over') && at % 2 > 0 ? [] : steps)).map(step => ({ ...step }))
    mine.applyDelta(all)
    await turn()
    other.applyDelta(all)
    assert.deepEqual(mine.toDelta(), other.toDelta(), name)
    assert.deepEqual(updates[0], updates[1], name)
    room.dispose()
  }
})
