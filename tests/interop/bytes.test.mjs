// Where an update of the package has other bytes than that of Yjs for the same edit, one by one: the reasons that the
// random histories go by. Everybody reads the same of both.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import * as Y from 'yjs'

import { canon } from './fuzz/compare.mjs'
import { perform } from './fuzz/edits.mjs'
import { Fresh, ROOTS, coweave, give, pair, take, turn, yjs } from './fuzz/sides.mjs'

const edit = (path, op, ...args) => ({ path: [path].flat(), op, args })

/** What a room and Yjs write of the same edits in the same document, which both end with. */
async function written(t, before, edits) {
  const [ours, theirs] = await pair(t)
  // Shows the id under which the room writes.
  ours.text('start').insert(0, '-')
  before.forEach(it => perform(coweave, ours, it))
  await turn()
  const roots = Object.keys(ROOTS).map(name => [coweave.root(ours, name), yjs.root(theirs, name)])
  take(ours, theirs)
  ;[theirs.clientID] = Y.decodeStateVector(ours.encodeStateVector()).keys()
  const updates = []
  ours.on('update', update => updates.push(Buffer.from(update)))
  theirs.on('update', update => updates.push(Buffer.from(update)))
  ours.transact(() => edits.forEach(it => perform(coweave, ours, it)))
  await turn()
  theirs.transact(() => edits.forEach(it => perform(yjs, theirs, it)))
  for (const [mine, other] of roots) assert.equal(canon(coweave, mine), canon(yjs, other))
  return { bytes: updates, structs: updates.map(update => Y.decodeUpdate(update).structs) }
}

it('an update has the bytes of Yjs, but for what follows', async t => {
  const format = { bold: true }
  const before = [
    edit('text', 'insertText', 0, 'a🙂b'), edit('array', 'insert', 0, [1, 2, 3]), edit('map', 'set', 'a', [1]),
    edit('xml', 'insert', 0, [new Fresh('element', { attributes: { a: 1 }, children: [new Fresh('xmlText', [])] }, 'p')]),
  ]
  for (const edits of [
    [edit('text', 'insertText', 3, 'x', format)],
    [edit('text', 'format', 1, 2, format)],
    [edit('text', 'applyDelta', [{ retain: 1, attributes: format }, { delete: 2 }, { insert: 'é' }])],
    [edit('text', 'embed', 1, { image: 'x' })],
    [edit('array', 'insert', 1, [null, 0.5, { a: 'b' }, new Fresh('map', { a: 1 })])],
    [edit('array', 'delete', 0, 2)],
    [edit('map', 'set', 'a', new Fresh('array', [1]))],
    [edit(['xml', 0], 'unset', 'a')],
    [edit('text', 'delete', 0, 3), edit('map', 'unset', 'a'), edit(['xml', 0, 0], 'insertText', 0, 'x')],
  ]) {
    const { bytes: [ours, theirs] } = await written(t, before, edits)
    assert.deepEqual(ours, theirs)
  }
})

it('bytes are a value among others in an update, and a content of their own in that of Yjs', async t => {
  const { bytes: [ours, theirs], structs } = await written(t, [], [edit('map', 'set', 'a', new Uint8Array(3))])
  assert.deepEqual(structs.flat().map(({ content }) => content.constructor), [Y.ContentAny, Y.ContentBinary])
  assert.equal(ours.length, theirs.length + 2)
})

it('the keys of an object are written in another order, formats too, in as many bytes', async t => {
  const value = Object.fromEntries(Array.from('abcdefgh', name => [name, true]))
  const before = [edit('text', 'insertText', 0, 'ab')]
  for (const it of [edit('map', 'set', 'key', value), edit('text', 'embed', 1, value), edit('text', 'format', 0, 1, value)]) {
    const { bytes: [ours, theirs] } = await written(t, before, [it])
    assert.deepEqual(ours.toSorted(), theirs.toSorted())
    // One of 40,320 orders is the same.
    if (it.op === 'set') assert.notDeepEqual(ours, theirs)
  }
})

it('plain text in two steps of a delta ends the formats around it once, and twice in Yjs', async t => {
  const before = [edit('text', 'insertText', 0, 'ab', { bold: true })]
  const { structs } = await written(t, before, [edit('text', 'applyDelta', [{ retain: 1 }, { insert: 'x' }, { insert: 'y' }])])
  assert.deepEqual(structs.map(list => list.map(({ content }) => content.str ?? content.value)), [
    [null, 'xy', true], [null, 'x', true, null, 'y', true],
  ])
})

it('what is in a new type comes behind the formats around it, in Yjs before their end', async t => {
  const embed = edit('text', 'embed', 0, new Fresh('map', { a: 1 }), { bold: true })
  const { bytes: [ours, theirs], structs } = await written(t, [], [embed])
  assert.deepEqual(structs.map(list => list.map(({ content }) => content.constructor.name)), [
    ['ContentFormat', 'ContentType', 'ContentFormat', 'ContentAny'],
    ['ContentFormat', 'ContentType', 'ContentAny', 'ContentFormat'],
  ])
  assert.equal(ours.length, theirs.length)
})

it('an entry goes behind deleted ones at its index, in Yjs before them', async t => {
  const before = [edit('array', 'insert', 0, [1, 2]), edit('array', 'delete', 0, 1)]
  const { structs } = await written(t, before, [edit('array', 'insert', 0, ['x'])])
  assert.deepEqual(structs.flat().map(({ origin, rightOrigin }) => [origin?.clock, rightOrigin?.clock]), [[1, 2], [undefined, 1]])
})

it('what a transaction edits twice is written as it was made, and by Yjs as it is in the end', async t => {
  const split = await written(t, [], [edit('text', 'insertText', 0, 'ab'), edit('text', 'insertText', 1, 'x')])
  const texts = structs => structs.map(({ content }) => content.str ?? content.len)
  assert.deepEqual(split.structs.map(texts), [['ab', 'x'], ['a', 'b', 'x']])
  const gone = await written(t, [], [edit('text', 'insertText', 0, 'ab'), edit('text', 'delete', 0, 2)])
  assert.deepEqual(gone.structs.map(texts), [['ab'], [2]])
})

it('deletions in what several wrote are in the order of rising ids, in Yjs of falling ones', async t => {
  const [ours, theirs] = await pair(t)
  theirs.clientID = 1
  theirs.getMap('map').set('key', new Y.Map())
  give(theirs, ours)
  ours.map('map').get('key').set('a', 1)
  await turn()
  take(ours, theirs)
  const writers = []
  const note = update => writers.push([...Y.decodeUpdate(update).ds.clients.keys()])
  ours.on('update', note)
  theirs.on('update', note)
  ours.map('map').set('key', 2)
  await turn()
  theirs.getMap('map').set('key', 2)
  const [rising, falling] = writers
  assert.deepEqual([rising[0], falling.at(-1), rising], [1, 1, falling.toReversed()])
})

it('undo brings back what several wrote in the order of their ids, and in Yjs as it was deleted', async t => {
  const [ours, theirs] = await pair(t)
  const other = new Y.Doc()
  other.clientID = 1
  ours.text('text').insert(0, 'a')
  await turn()
  const [client] = Y.decodeStateVector(ours.encodeStateVector()).keys()
  take(ours, other)
  other.getText('text').insert(1, 'b')
  give(other, ours)
  take(ours, theirs)
  theirs.clientID = client
  const undo = ours.undo({ scope: ours.text('text') })
  const theirUndo = new Y.UndoManager(theirs.getText('text'))
  ours.text('text').delete(0, 2)
  theirs.getText('text').delete(0, 2)
  await turn()
  const texts = []
  const note = update => texts.push(Y.decodeUpdate(update).structs.map(({ content }) => content.str))
  ours.on('update', note)
  theirs.on('update', note)
  undo.undo()
  await turn()
  theirUndo.undo()
  assert.deepEqual(texts, [['b', 'a'], ['a', 'b']])
  assert.deepEqual([String(ours.text('text')), theirs.getText('text').toString()], ['ab', 'ab'])
})
