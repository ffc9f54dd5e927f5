// A recorded history of two people writing at the same time, replayed through the relay by Yjs clients.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { openCoweave, openYjs, versions, Y } from './peers.mjs'

const TRACE = 'friendsforever.json.gz'
const END_MS_MAX = 30_000

function readTrace() {
  const folder = process.env.COWEAVE_TRACES ?? fileURLToPath(new URL('../../../shared/traces/', import.meta.url))
  const path = `${folder}/${TRACE}`
  return existsSync(path) ? JSON.parse(gunzipSync(readFileSync(path)).toString()) : null
}

/** A history in the format of the traces: both write alone for a while, then read each other. */
function generateTrace() {
  const txns = []
  const last = [null, null]
  const length = [0, 0]
  for (let round = 0; round < 60; round += 1) {
    const seen = last.filter(index => index !== null)
    const common = Math.min(...length)
    for (const agent of [0, 1]) {
      length[agent] = common
      for (let i = 0; i < 25; i += 1) {
        const isDeletion = i % 6 === 5
        const patch = isDeletion ? [(i * 7) % length[agent], 1, ''] : [(i * 13 + agent * 5) % (length[agent] + 1), 0, 'ab'[agent]]
        length[agent] += isDeletion ? -1 : 1
        txns.push({ agent, parents: i === 0 ? seen : [last[agent]], patches: [patch] })
        last[agent] = txns.length - 1
      }
    }
  }
  return { txns, endContent: null }
}

/** One author: a replica that knows exactly what the author knew, whatever the relay delivered already. */
class Author {
  doc = new Y.Doc({ gc: false })
  known = new Set()

  constructor(agent) {
    // Where two people inserted at the same place, the trace expects the first one's letters first.
    this.doc.clientID = agent + 1
  }

  stateVector() {
    return Y.encodeStateVector(this.doc)
  }

  learn(index, txns, updates) {
    const open = [index]
    while (open.length > 0) {
      const next = open.at(-1)
      const missing = this.known.has(next) ? [] : txns[next].parents.filter(parent => !this.known.has(parent))
      if (missing.length > 0) {
        open.push(...missing)
        continue
      }
      open.pop()
      if (this.known.has(next)) continue
      Y.applyUpdate(this.doc, updates[next])
      this.known.add(next)
    }
  }

  write(index, patches) {
    const before = this.stateVector()
    const text = this.doc.getText('body')
    this.doc.transact(() => {
      for (const [at, deleted, inserted] of patches) {
        if (deleted > 0) text.delete(at, deleted)
        if (inserted !== '') text.insert(at, inserted)
      }
    })
    this.known.add(index)
    return Y.encodeStateAsUpdate(this.doc, before)
  }
}

/** Nobody writes on what has not reached them: waits until the relay has delivered what an author knew. */
async function delivered(doc, stateVector) {
  const known = [...Y.decodeStateVector(stateVector)]
  while (known.some(([client, clock]) => Y.getState(doc.store, client) < clock)) {
    await new Promise(resolve => doc.once('update', resolve))
  }
}

it('two people who wrote at the same time end with the text they had', { timeout: 240_000 }, async t => {
  const recorded = readTrace()
  if (recorded === null) t.diagnostic(`${TRACE} is not here; this is a generated history`)
  const { txns, endContent } = recorded ?? generateTrace()
  const relay = await Relay.start()
  t.after(() => relay.dispose())
  const peers = [await openYjs(versions[0], relay, 'trace'), await openYjs(versions[1], relay, 'trace')]
  const watcher = await openCoweave(relay, 'trace')
  t.after(() => [...peers, watcher].forEach(peer => peer.close()))

  const authors = [new Author(0), new Author(1)]
  const updates = []
  for (const [index, { agent, parents, patches }] of txns.entries()) {
    parents.forEach(parent => authors[agent].learn(parent, txns, updates))
    await delivered(peers[agent].doc, authors[agent].stateVector())
    updates.push(authors[agent].write(index, patches))
    Y.applyUpdate(peers[agent].doc, updates[index])
  }
  const merged = new Y.Doc()
  updates.forEach(update => Y.applyUpdate(merged, update))
  const expected = merged.getText('body').toString()
  if (endContent !== null) assert.equal(expected, endContent)

  const everybody = [...peers, watcher]
  const lengths = () => everybody.map(peer => `${peer.version}: ${peer.content().length} of ${expected.length}`).join(', ')
  await until(() => everybody.every(peer => peer.content() === expected), lengths, END_MS_MAX)
  const fresh = await openCoweave(relay, 'trace')
  t.after(() => fresh.close())
  assert.equal(fresh.content(), expected)
})
