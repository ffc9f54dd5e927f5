// Bad input: whatever is handed to whichever method, the app gets a CoweaveError, and the document stays as it was.

import assert from 'node:assert/strict'
import test from 'node:test'
import { runInNewContext } from 'node:vm'
import {
  CoweaveError,
  type Doc,
  type PastDoc,
  type SharedArray,
  type SharedMap,
  type Text,
  type XmlElement,
  type XmlText,
  decodePosition,
  newArray,
  newMap,
  newText,
  newXmlElement,
  newXmlFragment,
  newXmlText,
} from 'coweave'
import * as Y from 'yjs'
import { NOWHERE, client, open, turn } from './world.js'

/** Parts of a document of all kinds. */
interface Parts {
  readonly text: Text
  readonly map: SharedMap
  readonly array: SharedArray
  readonly element: XmlElement
  readonly xmlText: XmlText
  /** Those that lie in others. */
  readonly inner: SharedMap
}

function fill(doc: Doc): void {
  doc.text('text').insert(0, 'ab😀')
  doc.map('map').set('inner', newMap({ a: 1 }))
  doc.array('array').push(1, 2)
  doc.xml('tree').push(newXmlElement('p', { id: 1 }, [newXmlText('one')]))
}

function partsOf(doc: Doc | PastDoc): Parts {
  const element = doc.xml('tree').get(0) as XmlElement
  return {
    text: doc.text('text'),
    map: doc.map('map'),
    array: doc.array('array'),
    element,
    xmlText: element.get(0) as XmlText,
    inner: doc.map('map').get('inner') as SharedMap,
  }
}

type Write = (parts: Parts, value: never) => unknown

/** Where any value can stand. */
const contents: Readonly<Record<string, Write>> = {
  'map.set': ({ map }, value) => { map.set('key', value) },
  'map.set, in an array': ({ map }, value) => { map.set('key', [1, value]) },
  'map.set, in a nested map': ({ inner }, value) => { inner.set('key', newArray([value])) },
  'array.insert': ({ array }, value) => { array.insert(1, 'fine', value) },
  'array.insertAll': ({ array }, value) => { array.insertAll(0, ['fine', value]) },
  'array.push': ({ array }, value) => { array.push(value) },
  'newArray': ({ array }, value) => { array.push(newArray([value])) },
  'element.setAttribute': ({ element }, value) => { element.setAttribute('key', value) },
}
/** Where one stands as an entry, which there is not when it is undefined. */
const entries: Readonly<Record<string, Write>> = {
  'map.set, in an object': ({ map }, value) => { map.set('key', { value }) },
  'newMap': ({ array }, value) => { array.push(newMap({ value })) },
  'newXmlElement, attribute': ({ element }, value) => { element.push(newXmlElement('b', { value })) },
  'text.insert, format': ({ text }, value) => { text.insert(0, 'x', { value }) },
  'text.format': ({ text }, value) => { text.format(0, 1, { value }) },
  'text.embed, inside': ({ text }, value) => { text.embed(0, { value }) },
  'text.applyDelta, format': ({ text }, value) => { text.applyDelta([{ retain: 1, attributes: { value } }]) },
  'xmlText.format': ({ xmlText }, value) => { xmlText.format(0, 1, { value }) },
  'newText, format': ({ map }, value) => { map.set('key', newText([{ insert: 'x', attributes: { value } }])) },
}
/** Where only a string can stand. */
const strings: Readonly<Record<string, Write>> = {
  'text.insert': ({ text }, value) => { text.insert(0, value) },
  'xmlText.insert': ({ xmlText }, value) => { xmlText.insert(0, value) },
  'map.set, key': ({ map }, value) => { map.set(value, 1) },
  'element.setAttribute, key': ({ element }, value) => { element.setAttribute(value, 1) },
  'newXmlElement, name': ({ element }, value) => { element.push(newXmlElement(value)) },
}
/** Where one stands to be looked for. */
const lookups: Readonly<Record<string, Write>> = {
  'map.get': ({ map }, value) => map.get(value),
  'map.has': ({ map }, value) => map.has(value),
  'map.delete': ({ map }, value) => { map.delete(value) },
  'element.getAttribute': ({ element }, value) => element.getAttribute(value),
  'element.removeAttribute': ({ element }, value) => { element.removeAttribute(value) },
}
/** Where only what has the right form can stand. */
const forms: Readonly<Record<string, Write>> = {
  'text.embed': ({ text }, value) => { text.embed(0, value) },
  'text.applyDelta': ({ text }, value) => { text.applyDelta([{ insert: 'fine' }, value]) },
  'text.applyDelta, insert': ({ text }, value) => { text.applyDelta([{ insert: value }]) },
  'newText': ({ map }, value) => { map.set('key', newText([value])) },
  'newXmlText': ({ element }, value) => { element.push(newXmlText([value])) },
  'element.insert': ({ element }, value) => { element.insert(0, newXmlElement('fine'), value) },
  'element.insertAll': ({ element }, value) => { element.insertAll(0, value) },
  'newXmlElement, children': ({ element }, value) => { element.push(newXmlElement('b', {}, [value])) },
  'newXmlFragment': ({ map }, value) => { map.set('key', newXmlFragment([value])) },
}
/** Where an index or a length stands. */
const indexes: Readonly<Record<string, Write>> = {
  'text.insert, index': ({ text }, value) => { text.insert(value, 'x') },
  'text.delete': ({ text }, value) => { text.delete(0, value) },
  'text.delete, index': ({ text }, value) => { text.delete(value, 1) },
  'text.format, index': ({ text }, value) => { text.format(value, 1, { a: 1 }) },
  'text.format, length': ({ text }, value) => { text.format(0, value, { a: 1 }) },
  'text.embed, index': ({ text }, value) => { text.embed(value, {}) },
  'text.applyDelta, retain': ({ text }, value) => { text.applyDelta([{ retain: value }, { insert: 'x' }]) },
  'text.applyDelta, delete': ({ text }, value) => { text.applyDelta([{ insert: 'x' }, { delete: value }]) },
  'array.insert, index': ({ array }, value) => { array.insert(value, 1) },
  'array.delete': ({ array }, value) => { array.delete(0, value) },
  'array.delete, index': ({ array }, value) => { array.delete(value, 1) },
  'element.insert, index': ({ element }, value) => { element.insert(value, newXmlText()) },
  'element.delete': ({ element }, value) => { element.delete(0, value) },
}
const writes = { ...contents, ...entries, ...strings, ...forms, ...indexes }

function nested(levels: number): unknown {
  let value: unknown = 'deep'
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { value }
  return value
}

const cycle: unknown[] = []
cycle.push({ cycle })

/** One object in so many places that nobody could write them all. */
function shared(levels: number): unknown {
  let value: unknown = {}
  for (let level = 0; level < levels; level += 1) value = { left: value, right: value }
  return value
}

/** What no document can hold. */
const values: Readonly<Record<string, unknown>> = {
  'a function': () => 1,
  'a symbol': Symbol('x'),
  'a big integer': 1n,
  'NaN': NaN,
  'infinity': -Infinity,
  'half a character': 'x\ud83d',
  'half a character in a key': { '\ude00': 1 },
  'a cycle': cycle,
  'a depth bomb': nested(100_000),
  'too many levels': nested(50),
  'a date': new Date(),
  'a map': new Map([['a', 1]]),
  'an array of shorts': new Uint16Array(2),
  'an error': new Error('x'),
  'an instance': new (class Custom {})(),
  'a string of 100 MB': 'x'.repeat(100 << 20),
  'strings of 600 MB': Array<string>(200).fill('x'.repeat(3 << 20)),
  'an object in many places': shared(38),
}

async function refusesAll(
  t: test.TestContext,
  where: Readonly<Record<string, Write>>,
  what: Readonly<Record<string, unknown>>,
): Promise<void> {
  const room = await open(t)
  fill(room.doc)
  await turn()
  const parts = partsOf(room.doc)
  const [state, { pending }] = [room.doc.encodeState(), room.saved]
  for (const [method, write] of Object.entries(where)) {
    for (const [name, value] of Object.entries(what)) {
      const about = `${method} with ${name}`
      let thrown: unknown
      try {
        write(parts, value as never)
      } catch (error) {
        thrown = error
      }
      assert.ok(thrown instanceof CoweaveError, `${about}: ${String(thrown)}`)
      assert.match(thrown.code, /^(api\.(wrong_type|split_surrogate|too_deep|out_of_range)|update\.too_large)$/, about)
      assert.ok(thrown.message.length < 500, about)
      assert.deepEqual(room.doc.encodeState(), state, about)
    }
  }
  await turn()
  assert.equal(room.saved.pending, pending)
  assert.equal(room.status.state === 'stopped', false)
  parts.text.insert(0, 'works on')
  assert.equal(String(parts.text), 'works onab😀')
}

test('what no document can hold is refused wherever content is written', async t => {
  await refusesAll(t, { ...contents, ...entries }, values)
  await refusesAll(t, contents, { 'bytes of 100 MB': new Uint8Array(100 << 20), undefined, 'a part of a document': (await open(t)).doc.map('map') })
})

test('what is no string, or no whole one, is refused wherever one is written', async t => {
  const { 'half a character': half, 'a string of 100 MB': long, ...others } = values
  await refusesAll(t, { ...strings, ...lookups }, { ...others, half, long, undefined, 'a number': 1, 'nothing': null, 'a list': ['x'] })
})

test('what has another form is refused wherever a form is asked for', async t => {
  await refusesAll(t, forms, { ...values, undefined, 'a number': 1, 'nothing': null })
})

test('lists with holes, and steps that say two things, are refused', async t => {
  const { doc } = await open(t)
  fill(doc)
  const { text, array, element } = partsOf(doc)
  const state = doc.encodeState()
  const hole: never[] = []
  hole.length = 2
  for (const write of [
    () => { array.insertAll(0, hole) },
    () => { array.push(newArray(hole)) },
    () => { element.insertAll(0, hole) },
    () => { text.applyDelta(hole) },
    () => { text.applyDelta([{ retain: 1, delete: 1 }]) },
    () => { text.applyDelta([{ insert: 'x', delete: 1 }]) },
  ]) {
    assert.throws(write, { code: 'api.wrong_type' }, String(write))
  }
  assert.deepEqual(doc.encodeState(), state)
  // What is more than a list is read as one, whatever it says of itself.
  class List extends Array<unknown> {
    toJSON(): unknown {
      return {}
    }
  }
  array.insertAll(0, List.from(['item']))
  assert.equal(array.get(0), 'item')
})

test('bytes that were transferred away are refused, and stop nothing', async t => {
  const it = client(t, NOWHERE)
  const { doc, loaded } = it.room('room')
  await loaded
  it.on('restarted', error => { assert.fail(error) })
  const gone = new Uint8Array(8)
  structuredClone(gone, { transfer: [gone.buffer] })
  for (const use of [
    () => { doc.applyUpdate(gone) },
    () => { doc.applyUpdateV2(gone) },
    () => doc.encodeDifference(gone),
    () => doc.equals(gone),
    () => doc.at(gone),
    () => doc.at(doc.snapshot(), gone),
  ]) {
    assert.throws(use, { code: 'update.malformed' }, String(use))
  }
  assert.equal(decodePosition(gone), null)
})

test('events are asked for by name, whatever else is given', async t => {
  const it = client(t, NOWHERE)
  const room = it.room('room')
  await room.loaded
  const undo = room.doc.undo({ scope: room.doc.text('text') })
  const odd: readonly unknown[] = [undefined, null, 'never', '__proto__', Symbol('x'), Object.create(null), nested(100_000)]
  for (const event of odd) {
    for (const source of [it, room, room.doc, undo]) {
      const on = source.on.bind(source) as (event: unknown, listener: () => void) => void
      assert.throws(() => { on(event, () => undefined) }, { code: 'api.wrong_type' })
    }
  }
})

test('what is no index inside is refused wherever one is given', async t => {
  const { 'a string of 100 MB': _, ...others } = values
  await refusesAll(t, indexes, { ...others, undefined, '-1': -1, '0.5': 0.5, 'beyond': 2 ** 31, '2^53': 2 ** 53, 'text': '0' })
})

test('parts that are deleted, or whose room is gone or may not be written, say so at each write', async t => {
  const good: Readonly<Record<string, unknown>> = {
    ...Object.fromEntries([...Object.keys(contents), ...Object.keys(entries)].map(name => [name, 1])),
    ...Object.fromEntries(Object.keys(strings).map(name => [name, 'x'])),
    ...Object.fromEntries(Object.keys(indexes).map(name => [name, 1])),
    'text.embed': {}, 'text.applyDelta': { insert: 'x' }, 'text.applyDelta, insert': 'x', 'newText': { insert: 'x' },
    'newXmlText': { insert: 'x' }, 'element.insert': newXmlText(), 'element.insertAll': [newXmlText()],
    'newXmlElement, children': newXmlText(), 'newXmlFragment': newXmlText(),
  }
  const refusesAllWith = (code: string, parts: Parts, names: readonly string[]): void => {
    for (const name of names) {
      assert.throws(() => { writes[name as keyof typeof writes]?.(parts, good[name] as never) }, { name: 'CoweaveError', code }, name)
    }
  }
  const room = await open(t)
  fill(room.doc)
  const past = partsOf(room.doc.at(room.doc.snapshot()))
  refusesAllWith('room.read_only', past, Object.keys(writes))
  const parts = partsOf(room.doc)
  // The same calls work elsewhere, so it is the document that refuses them.
  const it = client(t, NOWHERE)
  for (const [name, write] of Object.entries(writes)) {
    const copy = it.room(name)
    await copy.loaded
    fill(copy.doc)
    write(partsOf(copy.doc), good[name] as never)
  }
  room.doc.map('map').delete('inner')
  room.doc.xml('tree').delete(0, 1)
  const state = room.doc.encodeState()
  refusesAllWith('api.deleted', parts, Object.keys(writes).filter(name => /^(element|xmlText|newXml(Element|Text))|in a nested map/.test(name)))
  assert.deepEqual(room.doc.encodeState(), state)
  room.dispose()
  refusesAllWith('api.disposed', parts, Object.keys(writes))
  const unloaded = client(t, NOWHERE).room('unloaded')
  const early = { ...parts, text: unloaded.doc.text('text'), map: unloaded.doc.map('map'), array: unloaded.doc.array('array') }
  refusesAllWith('api.not_ready', early, Object.keys(writes).filter(name => /^(text|map|array)\.(?!.*nested)/.test(name)))
})

test('code of the app that runs in the middle of a call may use the document', async t => {
  const { doc } = await open(t)
  const [text, map] = [doc.text('text'), doc.map('map')]
  // While a value is read.
  map.set('outer', { get value() { map.set('inner', text.toString()); return 1 } })
  assert.deepEqual(map.toJSON(), { inner: '', outer: { value: 1 } })
  assert.throws(() => { map.set('never', { get value() { throw new Error('of the app') } }) }, /of the app/)
  assert.equal(map.has('never'), false)
  // While a change is told, which is over by then.
  const seen: unknown[] = []
  const subscription = text.subscribe(({ delta }) => {
    seen.push(delta)
    if (text.length < 3) doc.transact(() => { text.insert(0, 'x') })
  })
  doc.on('update', update => { doc.applyUpdate(update) })
  doc.transact(() => {
    text.insert(0, 'x')
    doc.transact(() => { assert.equal(text.toString(), 'x') })
    doc.applyUpdate(Y.encodeStateAsUpdate(new Y.Doc()))
  })
  await turn()
  await turn()
  assert.deepEqual([text.toString(), seen.length], ['xxx', 3])
  subscription.dispose()
  assert.throws(() => { doc.transact(() => { throw new Error('of the app') }) }, /of the app/)
  text.insert(0, 'after ')
  assert.equal(text.toString(), 'after xxx')
})

test('bytes of another window are bytes, and long lists have a way in', async t => {
  const { doc } = await open(t)
  const foreign = runInNewContext('({ bytes: new Uint8Array([1, 255]), list: [1], nothing: null })') as Record<string, unknown>
  doc.map('map').set('foreign', foreign)
  assert.deepEqual(doc.map('map').get('foreign'), { bytes: Uint8Array.of(1, 255), list: [1], nothing: null })
  doc.applyUpdate(runInNewContext('new Uint8Array(2)') as Uint8Array)
  const list = Array.from({ length: 200_000 }, (_, index) => index)
  doc.array('array').insertAll(0, list)
  assert.deepEqual(doc.array('array').toArray(), list)
})

test('parts say of what kind they are', async t => {
  const { doc } = await open(t)
  fill(doc)
  const { element, ...parts } = partsOf(doc)
  element.push(newXmlFragment([newXmlElement('b')]))
  const kinds = [doc.xml('tree'), element, ...Object.values(parts), ...element.children()].map(part => (part as Text).kind)
  assert.deepEqual(kinds, ['xmlFragment', 'xmlElement', 'text', 'map', 'array', 'xmlText', 'map', 'xmlText', 'xmlFragment'])
  const names = element.children().map(child => child.kind === 'xmlElement' ? child.name : child.kind)
  assert.deepEqual(names, ['xmlText', 'xmlFragment'])
})
