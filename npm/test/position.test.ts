// Positions as bytes, beside Yjs.

import assert from 'node:assert/strict'
import test from 'node:test'
import { type Position, CoweaveError, decodePosition, encodePosition } from 'coweave'
import * as Y from 'yjs'
import { open } from './world.js'

const ids = [{ client: 0, clock: 0 }, { client: 127, clock: 128 }, { client: 2 ** 53 - 1, clock: 2 ** 32 - 1 }]

test('positions have the bytes that Yjs gives them, and Yjs reads ours', () => {
  const nothing = { type: null, tname: null, item: null }
  const parts = [...ids.map(item => ({ item })), ...ids.map(type => ({ type })), ...['', 'body', 'ä🙂'].map(tname => ({ tname }))]
  for (const part of parts) {
    for (const assoc of [-1, 0]) {
      const position: Position = { ...nothing, ...part, assoc }
      const bytes = encodePosition(position)
      const theirs = Y.createRelativePositionFromJSON(position)
      assert.deepEqual(bytes, Y.encodeRelativePosition(theirs), JSON.stringify(position))
      assert.deepEqual(decodePosition(bytes), position)
      assert.deepEqual(JSON.parse(JSON.stringify(Y.decodeRelativePosition(bytes))), position)
    }
  }
})

test('a position comes through bytes of Yjs to where it was', async t => {
  const { doc } = await open(t)
  const body = doc.text('body')
  body.insert(0, 'one two')
  const mirror = new Y.Doc()
  Y.applyUpdate(mirror, doc.encodeState())
  const theirs = mirror.getText('body')
  for (let index = 0; index <= body.length; index += 1) {
    for (const [side, assoc] of [['left', -1], ['right', 0]] as const) {
      const bytes = Y.encodeRelativePosition(Y.createRelativePositionFromTypeIndex(theirs, index, assoc))
      assert.deepEqual(encodePosition(body.position(index, side)), bytes)
      assert.equal(body.resolve(decodePosition(bytes)), index)
    }
  }
})

test('bytes that are no position are none, and old ones without a side stick to the right', () => {
  assert.deepEqual(decodePosition(Uint8Array.of(0, 5, 7)), { type: null, tname: null, item: { client: 5, clock: 7 }, assoc: 0 })
  const none = [[], [0], [0, 1], [3, 1, 1, 0], [1, 5, 97], [1, 1, 0xff], [0, ...Array<number>(9).fill(0xff), 1], [0x80]]
  for (const bytes of none) assert.equal(decodePosition(Uint8Array.from(bytes)), null, String(bytes))
  for (let seed = 1; seed <= 20_000; seed += 1) {
    const bytes = Uint8Array.from({ length: seed % 12 }, (_, at) => Math.floor(Math.abs(Math.sin(seed * 31 + at) * 1e4)) % 256)
    const position = decodePosition(bytes)
    if (position !== null) assert.deepEqual(decodePosition(encodePosition(position)), position)
  }
})

test('a name of any length has its bytes, and one that no part has leads nowhere', async t => {
  const { doc } = await open(t)
  const position = { type: null, tname: 'x'.repeat(2 << 20), item: null, assoc: 0 }
  assert.deepEqual(encodePosition(position), Y.encodeRelativePosition(Y.createRelativePositionFromJSON(position)))
  assert.deepEqual(decodePosition(encodePosition(position)), position)
  assert.equal(doc.text('body').resolve(position), null)
})

test('what is no position or no bytes is refused', () => {
  const refused = (call: () => unknown): void => {
    assert.throws(call, (error: unknown) => error instanceof CoweaveError && error.code === 'api.wrong_type')
  }
  for (const wrong of [null, undefined, 7, 'x', {}, { item: { client: -1, clock: 0 } }, { item: { client: 1.5, clock: 0 } }]) {
    refused(() => encodePosition(wrong as unknown as Position))
    refused(() => decodePosition(wrong as unknown as Uint8Array))
  }
})
