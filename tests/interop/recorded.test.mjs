// Documents that older versions of Yjs wrote, as Yjs keeps them to test its own compatibility: their bytes and what they
// hold stand in the tests of the package yjs 13.3.0 (MIT), from where they are read.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { runInNewContext } from 'node:vm'

import * as Y from 'yjs'

import { offline, turn } from './fuzz/sides.mjs'

const source = readFileSync(new URL('node_modules/yjs-13.3/tests/compatibility.tests.js', import.meta.url), 'utf8')
/** The documents by their kind. */
const documents = [...source.matchAll(/const oldDoc = '([^']+)'[^]*?const oldVal = (.+)\n[^]*?doc\.get(\w+)\('(\w+)'\)/g)]
  .map(([, base64, value, kind, name]) => ({
    bytes: Uint8Array.from(Buffer.from(base64, 'base64')),
    // It is written in JavaScript, and is data.
    value: JSON.parse(JSON.stringify(runInNewContext(`(${value})`))),
    kind,
    name,
  }))

describe('a document of Yjs 13.2', () => {
  it('is there for each kind', () => {
    assert.deepEqual(documents.map(({ kind }) => kind), ['Array', 'Map', 'Text'])
  })

  for (const { bytes, value, kind, name } of documents) {
    const read = {
      Array: doc => doc.array(name).toJSON(),
      Map: doc => doc.map(name).toJSON(),
      Text: doc => doc.text(name).toDelta(),
    }[kind]

    it(`is read by a room: ${kind}`, async t => {
      const client = offline()
      t.after(() => client.dispose())
      const room = client.room('recorded')
      await room.loaded
      room.doc.applyUpdate(bytes)
      assert.deepEqual(read(room.doc), value)
      await turn()

      // What the room writes of it says the same to Yjs, and so does what goes to the relay.
      const after = new Y.Doc()
      Y.applyUpdate(after, room.doc.encodeState())
      const inYjs = { Array: () => after.getArray(name).toJSON(), Map: () => after.getMap(name).toJSON(), Text: () => after.getText(name).toDelta() }[kind]()
      assert.deepEqual(inYjs, value)
      const next = client.room('next')
      await next.loaded
      next.doc.applyUpdate(Y.encodeStateAsUpdate(after))
      assert.deepEqual(read(next.doc), value)
    })
  }
})
