// Random histories of people with Yjs and with the package: the same document, and the same news of it, everywhere.
//
// `COWEAVE_HISTORIES=10000` runs so many of each class, and `COWEAVE_HISTORY_SEED=57` begins with that seed.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import * as Y from 'yjs'

import { run } from './fuzz/history.mjs'
import { replaceRandomBytes, setting } from './fuzz/random.mjs'
import { Fresh } from './fuzz/sides.mjs'

const HISTORIES = 500
/** An ordinary run does not take longer, however busy the machine is. */
const RUN_MS_MAX = 45_000
/** A run ends when it found so many. */
const FAILURES_MAX = 5

/** Whether a part of a content is true of something. */
function some(value, is) {
  if (is(value)) return true
  if (value instanceof Fresh) return some(value.content, is)
  return typeof value === 'object' && value !== null && Object.values(value).some(part => some(part, is))
}

/** Counts how updates and news compare with those of Yjs. */
class Tally {
  edits = 0
  /** Bytes that the package wrote, and those that Yjs would have written. */
  bytes = [0, 0]
  news = 0
  same = 0

  /** What an edit is as an update, here and in Yjs. */
  size(edits, own, twins) {
    const [ours, theirs] = [own, twins].map(update => update?.length ?? 0)
    this.edits += 1
    this.bytes[0] += ours
    this.bytes[1] += theirs
    if (edits.length > 1) return
    const [{ op, args }] = edits
    // Bytes are a kind of content of their own in Yjs, which saves one to three bytes. Formats that say nothing any more
    // are left alone by the package, because what everybody cleans up can be cleaned up twice. Where entries of
    // a list were deleted, new ones have other neighbors among them.
    const isMeasured = ['insertText', 'set', 'unset'].includes(op) && args.length < 3
      && !some(args, value => value instanceof Uint8Array || value?.attributes?.bold || value?.attributes?.color)
    if (isMeasured && ours > theirs) {
      // It went before a mark that ends nothing any more, and not behind it: see the divergences.
      const rights = [own, twins].map(update => Y.decodeUpdate(update).structs[0]?.rightOrigin ?? null)
      assert.ok(rights[0] !== null && rights[1] === null, `${op} takes ${ours} bytes, and ${theirs} in Yjs`)
    }
  }

  told(isSame) {
    this.news += 1
    this.same += isSame ? 1 : 0
  }
}

async function runAll(t, histories, options) {
  const reseed = replaceRandomBytes(t)
  const tally = new Tally()
  const failures = []
  const first = setting('COWEAVE_HISTORY_SEED', 1)
  const count = setting('COWEAVE_HISTORIES', histories)
  const end = count > histories ? Infinity : performance.now() + RUN_MS_MAX
  let seed = first
  for (; seed < first + count && performance.now() < end && failures.length < FAILURES_MAX; seed += 1) {
    reseed(seed)
    try {
      await run(seed, tally, options)
    } catch (error) {
      failures.push(`COWEAVE_HISTORY_SEED=${seed}: ${error.stack}`)
    }
  }
  const { edits, bytes: [ours, theirs], news, same } = tally
  t.diagnostic(`${seed - first} histories; ${edits} edits: ${ours} bytes, Yjs ${theirs}; ${same} of ${news} news to the letter as in Yjs`)
  assert.equal(failures.join('\n\n'), '')
  return tally
}

it('random histories end the same with Yjs and the package, and are told the same', async t => {
  const { edits, bytes: [ours, theirs], news, same } = await runAll(t, HISTORIES, {})
  if (edits < 1_000) return
  assert.ok(ours < theirs * 1.02, 'updates are as small as those of Yjs')
  assert.ok(same > news * 0.99, 'hardly anything is told in another way')
})

it('characters that Yjs cuts in two are the same halves in every room', async t => {
  await runAll(t, HISTORIES / 5, { cuts: true })
})
