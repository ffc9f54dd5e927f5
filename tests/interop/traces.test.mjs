// Recorded histories of real writing, through the package: one transaction for each of theirs, and the text they
// say at the end. They are read from COWEAVE_TRACES or ../shared/traces.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

import * as Y from 'yjs'

import { offline, turn } from './fuzz/sides.mjs'

/** Now and then others get their turn, and what is told does not pile up. */
const TRANSACTIONS_AT_ONCE = 500
/** What took longer on a slow machine is compared up to where it came. */
const RUN_MS_MAX = 20_000

function readTrace(name) {
  const folder = process.env.COWEAVE_TRACES ?? fileURLToPath(new URL('../../../shared/traces/', import.meta.url))
  const path = `${folder}/${name}.json.gz`
  return existsSync(path) ? JSON.parse(gunzipSync(readFileSync(path)).toString()) : undefined
}

function write(text, patches) {
  for (const [at, deleted, inserted] of patches) {
    if (deleted > 0) text.delete(at, deleted)
    if (inserted !== '') text.insert(at, inserted)
  }
}

async function open(t) {
  const client = offline()
  t.after(() => client.dispose())
  const room = client.room('trace')
  await room.loaded
  return room.doc
}

for (const name of ['automerge-paper', 'seph-blog1']) {
  it(`${name}: one person's text comes out as it was written`, async t => {
    const trace = readTrace(name)
    if (trace === undefined) return t.skip(`${name} is not here: NOT TESTED`)
    const doc = await open(t)
    const text = doc.text('text')
    const began = performance.now()
    let done = 0
    while (done < trace.txns.length && performance.now() < began + RUN_MS_MAX) {
      for (const { patches } of trace.txns.slice(done, done + TRANSACTIONS_AT_ONCE)) doc.transact(() => write(text, patches))
      done += TRANSACTIONS_AT_ONCE
      await turn()
    }
    t.diagnostic(`${Math.min(done, trace.txns.length)} of ${trace.txns.length} transactions in ${Math.round(performance.now() - began)} ms`)
    if (done >= trace.txns.length) {
      assert.equal(String(text), trace.endContent)
    } else {
      const expected = new Y.Doc()
      trace.txns.slice(0, done).forEach(({ patches }) => write(expected.getText('text'), patches))
      assert.equal(String(text), expected.getText('text').toString())
    }
    const reader = new Y.Doc()
    Y.applyUpdate(reader, doc.encodeState())
    assert.equal(reader.getText('text').toString(), String(text))
  })
}

/** One author: a room that has exactly what the author had. */
class Author {
  /** Numbers of transactions. */
  #known = new Set()
  #made = []

  constructor(doc) {
    this.doc = doc
    doc.on('update', (update, { origin }) => {
      if (origin !== 'learned') this.#made.push(update)
    })
  }

  learn(index, txns, updates) {
    const open = [index]
    while (open.length > 0) {
      const next = open.at(-1)
      const missing = this.#known.has(next) ? [] : txns[next].parents.filter(parent => !this.#known.has(parent))
      open.push(...missing)
      if (missing.length > 0) continue
      open.pop()
      if (this.#known.has(next)) continue
      for (const update of updates[next]) this.doc.applyUpdate(update, 'learned')
      this.#known.add(next)
    }
  }

  async write(index, patches) {
    this.doc.transact(() => write(this.doc.text('text'), patches))
    this.#known.add(index)
    await turn()
    return this.#made.splice(0)
  }
}

it('friendsforever: two people who wrote at the same time end with the text they had', async t => {
  const trace = readTrace('friendsforever')
  if (trace === undefined) return t.skip('friendsforever is not here: NOT TESTED')
  const { txns, endContent } = trace
  const docs = await Promise.all([open(t), open(t)])
  // Where both inserted at the same place, the trace expects the first one's letters first: a lower client id.
  const ids = new Map()
  for (const doc of docs) {
    doc.text('start').insert(0, '-')
    ids.set(doc, Y.decodeStateVector(doc.encodeStateVector()).keys().next().value)
  }
  await turn()
  const authors = docs.sort((a, b) => ids.get(a) - ids.get(b)).map(doc => new Author(doc))
  const [one, two] = authors
  one.doc.applyUpdate(two.doc.encodeState(), 'learned')
  two.doc.applyUpdate(one.doc.encodeState(), 'learned')
  const updates = []
  for (const [index, { agent, parents, patches }] of txns.entries()) {
    parents.forEach(parent => authors[agent].learn(parent, txns, updates))
    updates.push(await authors[agent].write(index, patches))
  }
  authors.forEach(author => txns.forEach((_, index) => author.learn(index, txns, updates)))
  for (const { doc } of authors) assert.equal(String(doc.text('text')), endContent)
})
