// Random histories of people with Yjs and with the package: the same document, and the same news of it, everywhere.
//
// `COWEAVE_HISTORIES=10000` runs so many of each class, and `COWEAVE_HISTORY_SEED=57` begins with that seed.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import { run } from './fuzz/history.mjs'
import { replaceRandomBytes, setting } from './fuzz/random.mjs'

const HISTORIES = 500
/** They take some ten seconds; a run that takes longer than this fails, however busy the machine is. */
const RUN_MS_MAX = 900_000
/** A run ends when it found so many. */
const FAILURES_MAX = 5
/** So many updates of each operation have the bytes of Yjs's at least, in percent; the others have a reason. */
const EQUAL_MIN = {
  insertText: 97, delete: 80, format: 60, embed: 70, applyDelta: 70, insert: 75, set: 75, unset: 97, 'several edits': 50,
}

/** Counts how updates and news compare with those of Yjs. */
class Tally {
  edits = 0
  /** Bytes that the package wrote, and those that Yjs would have written. */
  bytes = [0, 0]
  /** Of each operation: how many updates there were, and how many of them to the byte. */
  operations = {}
  /** Of each reason: how many updates had other bytes, and nothing before it in the list to say why. */
  reasons = {}
  news = 0
  same = 0

  /** What an edit is as an update, here and in Yjs; `reasons` for which it may be another one. */
  update(name, own, twins, reasons) {
    const [ours, theirs] = [own, twins].map(update => Buffer.from(update ?? []))
    this.edits += 1
    this.bytes[0] += ours.length
    this.bytes[1] += theirs.length
    const operation = this.operations[name] ??= { count: 0, equal: 0 }
    operation.count += 1
    if (ours.equals(theirs)) {
      operation.equal += 1
      return
    }
    const [reason] = reasons
    assert.ok(reason !== undefined, `${name} in other bytes: ${ours.toString('hex')}, in Yjs ${theirs.toString('hex')}`)
    this.reasons[reason] = (this.reasons[reason] ?? 0) + 1
  }

  told(isSame) {
    this.news += 1
    this.same += isSame ? 1 : 0
  }

  toString() {
    const { edits, bytes: [ours, theirs], news, same } = this
    const operations = Object.entries(this.operations).map(([name, { count, equal }]) => `${name} ${equal}/${count}`)
    const reasons = Object.entries(this.reasons).map(([name, count]) => `${name} ${count}`)
    return `${edits} updates: ${ours} bytes, Yjs ${theirs}; byte for byte: ${operations.join(', ')}; `
      + `others: ${reasons.join(', ')}; ${same} of ${news} news to the letter as in Yjs`
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
  t.diagnostic(`${seed - first} histories; ${tally}`)
  assert.equal(failures.join('\n\n'), '')
  assert.equal(seed - first, count, `${RUN_MS_MAX / 60_000} minutes were too short for ${count} histories: something is slow`)
  return tally
}

it('random histories end the same with Yjs and the package, and are told the same', async t => {
  const { edits, bytes: [ours, theirs], operations, news, same } = await runAll(t, HISTORIES, {})
  if (edits < 3_000) return
  for (const [name, percent] of Object.entries(EQUAL_MIN)) {
    const { count, equal } = operations[name]
    assert.ok(equal * 100 >= count * percent, `${equal} of ${count} updates of ${name} have the bytes of Yjs`)
  }
  assert.ok(ours < theirs * 1.02, 'updates are as small as those of Yjs')
  assert.ok(same > news * 0.99, 'hardly anything is told in another way')
})

it('characters that Yjs cuts in two are the same halves in every room', async t => {
  await runAll(t, HISTORIES / 5, { cuts: true })
})
