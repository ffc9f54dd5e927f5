// Positions as JSON and as bytes, beside Yjs.

import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type Doc, type Position, type Room, type SharedArray, type SharedMap, type Text, type XmlElement, type XmlFragment,
  CoweaveError, decodePosition, encodePosition,
} from 'coweave'
import * as Y from 'yjs'
import { open } from './world.js'
import { Random, editRoom, editSomething } from './yjs-world.js'

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

/** A type that has positions, and what it is in a Y.Doc. */
interface Place {
  readonly ours: Text | SharedArray | XmlFragment | XmlElement
  readonly theirs: Y.Text | Y.Array<unknown> | Y.XmlFragment
}

/** All those in a document, however deep. */
function placesIn(doc: Doc, mirror: Y.Doc): readonly Place[] {
  const places: Place[] = []
  const visit = (ours: unknown, theirs: unknown): void => {
    if (!(theirs instanceof Y.AbstractType)) return
    if (theirs instanceof Y.Map) {
      for (const [key, value] of theirs) visit((ours as SharedMap).get(key), value)
      return
    }
    places.push({ ours, theirs } as Place)
    if (!(theirs instanceof Y.Array || theirs instanceof Y.XmlFragment)) return
    const parts = theirs instanceof Y.Array
      ? (ours as SharedArray).toArray()
      : (ours as XmlFragment).children()
    theirs.toArray().forEach((part: unknown, at: number) => { visit(parts[at], part) })
  }
  visit(doc.text('text'), mirror.getText('text'))
  visit(doc.array('array'), mirror.getArray('array'))
  visit(doc.map('map'), mirror.getMap('map'))
  visit(doc.xml('xml'), mirror.getXmlFragment('xml'))
  return places
}

/** A position, as both make it. */
interface Pair extends Place {
  readonly position: Position
  readonly relative: Y.RelativePosition
}

const SIDES = [['left', -1], ['right', 0]] as const

/** Where a position is in the Y.Doc. */
function indexIn(mirror: Y.Doc, { theirs, relative }: Pair): number | null {
  const found = Y.createAbsolutePositionFromRelativePosition(relative, mirror)
  return found?.type === theirs ? found.index : null
}

/** Random edits of a room, and of two Y.Docs that meet there; one of them ends as its mirror. */
function edit(room: Room, docs: readonly [Y.Doc, Y.Doc], random: Random): void {
  for (let step = 0; step < 12; step += 1) {
    if (random.below(4) === 0) editRoom(room as Room<object>, random)
    else editSomething(random.of(docs), random)
  }
  for (const doc of docs) room.doc.applyUpdate(Y.encodeStateAsUpdate(doc, room.doc.encodeStateVector()))
  for (const doc of docs) Y.applyUpdate(doc, room.doc.encodeDifference(Y.encodeStateVector(doc)))
}

test('positions anywhere in random documents are those of Yjs: their JSON, their bytes, and where they lead later', async t => {
  let count = 0
  for (let seed = 1; seed <= 20; seed += 1) {
    const random = new Random(seed)
    const room = await open(t)
    const docs = [new Y.Doc(), new Y.Doc()] as const
    let pairs: Pair[] = []
    for (let round = 0; round < 4; round += 1) {
      edit(room, docs, random)
      for (const pair of pairs) {
        if (pair.theirs._item?.deleted === true) continue
        assert.equal(pair.ours.resolve(pair.position), indexIn(docs[0], pair), `seed ${String(seed)}: ${JSON.stringify(pair.position)}, later`)
      }
      pairs = []
      for (const { ours, theirs } of placesIn(room.doc, docs[0])) {
        assert.equal(ours.length, theirs.length)
        for (let index = 0; index <= ours.length; index += 1) {
          for (const [side, assoc] of SIDES) {
            const position = ours.position(index, side)
            const relative = Y.createRelativePositionFromTypeIndex(theirs, index, assoc)
            const about = `seed ${String(seed)}, round ${String(round)}: ${ours.kind} at ${String(index)} ${side}`
            assert.equal(JSON.stringify(position), JSON.stringify(relative), about)
            assert.deepEqual(encodePosition(position), Y.encodeRelativePosition(relative), about)
            const pair = { ours, theirs, position, relative }
            assert.deepEqual([ours.resolve(position), indexIn(docs[0], pair)], [index, index], about)
            pairs.push(pair)
            count += 1
          }
        }
      }
    }
  }
  assert.ok(count > 5_000, String(count))
})
