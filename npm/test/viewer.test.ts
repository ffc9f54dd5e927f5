// A session that may only read: whatever writes is refused, changes nothing, and is told to nobody.

import assert from 'node:assert/strict'
import test from 'node:test'
import { type Doc, type SharedMap, type Text, type XmlElement, type XmlText, newMap, newText, newXmlElement, newXmlText } from 'coweave'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { Relay, client, needsRelay, open, turn, until } from './world.js'

const ROLE = 23
const ROLES = { editor: 0, viewer: 1 }
/** That of the first room of a connection. */
const CHANNEL = 1

/** The relay gives no roles yet: the socket brings one as if it had. */
class Line extends WebSocket {
  static last: Line | undefined

  constructor(url: string, protocol: string) {
    super(url, protocol)
    Line.last = this
  }

  assign(role: keyof typeof ROLES): void {
    this.emit('message', Uint8Array.of(ROLE, CHANNEL, 1, ROLES[role]).buffer, true)
  }
}

function fill(doc: Doc): void {
  doc.text('text').insert(0, 'some text')
  doc.map('map').set('inner', newMap({ a: 1 }))
  doc.array('array').push(1, 2, 3)
  doc.xml('tree').push(newXmlElement('p', { id: 1 }, [newXmlText('one')]), newXmlElement('p'))
}

/** An update with something new. */
function news(): Uint8Array {
  const doc = new Y.Doc()
  doc.getText('text').insert(0, 'brought ')
  return Y.encodeStateAsUpdate(doc)
}

/** Calls that write, of each object of a document. */
function writesOf(doc: Doc): Readonly<Record<string, readonly [object: object, Readonly<Record<string, () => void>>]>> {
  const [text, map, array, tree] = [doc.text('text'), doc.map('map'), doc.array('array'), doc.xml('tree')]
  const element = tree.get(0) as XmlElement
  const [inner, xmlText] = [map.get('inner') as SharedMap, element.get(0) as XmlText]
  const textWrites = (it: Text): Readonly<Record<string, () => void>> => ({
    insert: () => { it.insert(1, 'x') },
    'insert, formatted': () => { it.insert(1, 'x', { bold: true }) },
    'insert, nothing': () => { it.insert(0, '') },
    embed: () => { it.embed(1, { image: 'a.png' }) },
    format: () => { it.format(0, 1, { bold: true }) },
    delete: () => { it.delete(0, 1) },
    applyDelta: () => { it.applyDelta([{ insert: 'x' }]) },
  })
  return {
    doc: [doc, {
      applyUpdate: () => { doc.applyUpdate(news(), 'mine') },
      applyUpdateV2: () => { doc.applyUpdateV2(Y.convertUpdateFormatV1ToV2(news())) },
      transact: () => { doc.transact(() => { text.insert(0, 'x') }, 'mine') },
    }],
    text: [text, textWrites(text)],
    xmlText: [xmlText, textWrites(xmlText)],
    map: [map, {
      set: () => { map.set('key', newText('inside')) },
      'set, inside': () => { inner.set('a', 2) },
      delete: () => { map.delete('key') },
      'delete, inside': () => { inner.delete('a') },
    }],
    array: [array, {
      insert: () => { array.insert(1, 'x') },
      insertAll: () => { array.insertAll(0, [newMap()]) },
      push: () => { array.push('x') },
      delete: () => { array.delete(0, 1) },
    }],
    fragment: [tree, {
      insert: () => { tree.insert(1, newXmlText('x')) },
      insertAll: () => { tree.insertAll(1, [newXmlElement('b')]) },
      push: () => { tree.push(newXmlElement('b')) },
      delete: () => { tree.delete(1, 1) },
    }],
    element: [element, {
      insert: () => { element.insert(1, newXmlText('x')) },
      insertAll: () => { element.insertAll(1, [newXmlElement('b')]) },
      push: () => { element.push(newXmlElement('b')) },
      delete: () => { element.delete(1, 1) },
      setAttribute: () => { element.setAttribute('id', 2) },
      removeAttribute: () => { element.removeAttribute('id') },
    }],
  }
}

/** What else can be called. */
const READS = [
  'array', 'at', 'attributes', 'children', 'encodeDifference', 'encodeState', 'encodeStateVector', 'entries',
  'equals', 'get', 'getAttribute', 'has', 'isOf', 'keys', 'map', 'on', 'position', 'read', 'readTree', 'resolve', 'snapshot', 'subscribe',
  'subscribeDeep', 'subscribeView', 'text', 'toArray', 'toDelta', 'toJSON', 'toString', 'toXml', 'undo', 'xml',
]

/** The names of the methods of an object. */
function methodsOf(object: object): string[] {
  const names: string[] = []
  for (let it: object = object; it !== Object.prototype; it = Object.getPrototypeOf(it) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(it))) {
      if (typeof value === 'function' && name !== 'constructor') names.push(name)
    }
  }
  return names
}

test('nothing that a viewer calls changes anything, or is told to anybody', needsRelay, async t => {
  const relay = await Relay.start(t)
  const ana = client(t, relay.url, { webSocket: Line }).room('room')
  const ben = await open(t, relay.url)
  await Promise.all([ana.synced, ben.synced])
  const { doc } = ana
  const undo = doc.undo({ scope: [doc.text('text'), doc.map('map')], captureTimeout: 0 })
  fill(doc)
  doc.text('text').insert(0, 'undone ')
  assert.ok(undo.undo())
  await ana.flush()
  await until('it arrives', () => ben.doc.equals(doc))
  const writes = writesOf(doc)

  Line.last?.assign('viewer')
  await until('it is one', () => ana.role === 'viewer')
  await turn()
  const told: string[] = []
  for (const { doc } of [ana, ben]) {
    for (const part of [doc.text('text'), doc.map('map'), doc.array('array'), doc.xml('tree')]) {
      part.subscribe(() => told.push(part.kind))
      part.subscribeDeep(() => told.push(`${part.kind}, deep`))
    }
    doc.on('update', () => told.push('update'))
  }
  ana.on('saved', () => told.push('saved'))
  undo.on('changed', () => told.push('undo'))
  const state = doc.encodeState()
  for (const [name, [object, calls]] of Object.entries(writes)) {
    for (const [call, write] of Object.entries(calls)) {
      assert.throws(write, { name: 'CoweaveError', code: 'room.read_only' }, `${name}.${call}`)
      assert.deepEqual(doc.encodeState(), state, `${name}.${call}`)
    }
    const others = methodsOf(object).filter(method => !(method in calls) && !READS.includes(method))
    assert.deepEqual(others, [], `what else writes in ${name}`)
  }
  for (const takeBack of [() => undo.undo(), () => undo.redo()]) assert.throws(takeBack, { code: 'room.read_only' })
  assert.ok(undo.canUndo && undo.canRedo)
  await assert.rejects(ana.seed({ text: 'seed' }), { code: 'room.read_only' })
  await ana.flush()
  await turn()
  assert.deepEqual(doc.encodeState(), state)
  assert.deepEqual(ana.saved, { tier: 'durable', pending: 0 })
  assert.deepEqual(told, [])

  // The same calls work for an editor.
  Line.last?.assign('editor')
  await until('it is one again', () => ana.role === 'editor')
  assert.ok(undo.redo() && undo.undo())
  for (const [, calls] of Object.values(writes)) for (const write of Object.values(calls)) write()
  await ana.flush()
  await until('it arrives', () => ben.doc.equals(doc))
  await turn()
  assert.ok(told.length > 0)
})
