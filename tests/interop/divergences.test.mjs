// Where the package and Yjs are known not to be the same, one by one, with what was decided.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import { newMap, newXmlElement, newXmlText } from 'coweave'
import * as Y from 'yjs'

import { give, pair, take, turn } from './fuzz/sides.mjs'

it('bytes are written as one value among others, and read as bytes by everybody', async t => {
  const [ours, theirs] = await pair(t)
  const bytes = new Uint8Array([1, 2, 3])
  // Yjs has a kind of content for them, which yrs writes wrongly in version 2 of the format.
  ours.map('map').set('bytes', bytes)
  take(ours, theirs)
  assert.deepEqual(theirs.getMap('map').get('bytes'), bytes)
  theirs.getMap('map').set('more', bytes)
  give(theirs, ours)
  assert.deepEqual(ours.map('map').get('more'), bytes)
})

it('values that JSON has no word for are read as Yjs wrote them, and cannot be written', async t => {
  const [ours, theirs] = await pair(t)
  const values = [undefined, NaN, Infinity, -Infinity, 5n, 2n ** 60n, 2n ** 60n + 1n, [undefined, 1n], { a: undefined, b: NaN }]
  theirs.getArray('array').insert(0, [values])
  give(theirs, ours)
  // Whole numbers are of one kind to yrs, whoever wrote them: what JavaScript can say as a number is one.
  const seen = [undefined, NaN, Infinity, -Infinity, 5, 2 ** 60, 2n ** 60n + 1n, [undefined, 1], { a: undefined, b: NaN }]
  assert.deepEqual(ours.array('array').get(0), seen)
  for (const value of [undefined, NaN, 1n]) {
    assert.throws(() => ours.array('array').push(value), { code: 'api.wrong_type' })
  }
})

it('a bigint of Yjs that went through a room is a number to the next one', async t => {
  const [ours, theirs] = await pair(t)
  theirs.getArray('array').insert(0, [[5n, 2n ** 60n + 1n]])
  give(theirs, ours)
  // Stored and sent updates are the bytes that Yjs wrote: this is seen in what a room encodes anew.
  const next = new Y.Doc()
  take(ours, next)
  assert.deepEqual(next.getArray('array').get(0), [5, 2n ** 60n + 1n])
})

it('a document inside a document is nothing to a room, and stays there for Yjs', async t => {
  const [ours, theirs] = await pair(t)
  theirs.getMap('map').set('inner', new Y.Doc({ guid: 'an-id', autoLoad: true, meta: { title: 'x' } }))
  give(theirs, ours)
  assert.equal(ours.map('map').get('inner'), undefined)
  assert.ok(ours.map('map').has('inner'))
  const next = new Y.Doc()
  take(ours, next)
  const { guid, autoLoad, meta } = next.getMap('map').get('inner')
  // yrs has no place for what an app says of it.
  assert.deepEqual({ guid, autoLoad, meta }, { guid: 'an-id', autoLoad: true, meta: null })
})

it('attributes of a text are nothing to a room, and stay there for Yjs', async t => {
  const [ours, theirs] = await pair(t)
  const text = theirs.getText('text')
  text.insert(0, 'x')
  text.setAttribute('dir', 'ltr')
  give(theirs, ours)
  assert.deepEqual(ours.text('text').toDelta(), [{ insert: 'x' }])
  const next = new Y.Doc()
  take(ours, next)
  assert.deepEqual(next.getText('text').getAttributes(), { dir: 'ltr' })
})

it('a hook, which Yjs has for elements of somebody else, is refused', async t => {
  const [ours, theirs] = await pair(t)
  theirs.getXmlFragment('xml').insert(0, [new Y.XmlHook('hook')])
  assert.throws(() => give(theirs, ours), { code: 'update.malformed' })
})

it('what is embedded in a text counts one in the string of a room, and is left out by Yjs', async t => {
  const [ours, theirs] = await pair(t)
  ours.text('text').insert(0, 'ab')
  ours.text('text').embed(1, { image: 'x' })
  take(ours, theirs)
  assert.equal(String(ours.text('text')), 'a\ufffcb')
  assert.equal(theirs.getText('text').toString(), 'ab')
  assert.equal(ours.text('text').length, theirs.getText('text').length)
})

it('a shared type that is an attribute is no markup in the string of a room', async t => {
  const [ours, theirs] = await pair(t)
  const element = new Y.XmlElement('p')
  theirs.getXmlFragment('xml').insert(0, [element])
  element.setAttribute('a', new Y.XmlText('x'))
  give(theirs, ours)
  assert.equal(theirs.getXmlFragment('xml').toString(), '<p a="x"></p>')
  assert.equal(String(ours.xml('xml')), '<p a="[object Object]"></p>')
  assert.equal(String(ours.xml('xml').get(0).getAttribute('a')), 'x')
})

it('a room leaves formats that say nothing any more where they are', async t => {
  const [ours, theirs] = await pair(t)
  ours.text('text').insert(0, 'abc')
  ours.text('text').format(1, 1, { bold: true })
  await turn()
  take(ours, theirs)
  const deleted = update => [...Y.decodeUpdate(update).ds.clients.values()].flat().reduce((sum, { len }) => sum + len, 0)
  const known = Y.encodeStateVector(theirs)
  ours.text('text').delete(1, 1)
  await turn()
  let mark
  theirs.on('update', update => {
    mark = deleted(update)
  })
  theirs.getText('text').delete(1, 1)
  // A document of yrs that tidies up does it after updates of others as well, and tells nobody.
  assert.deepEqual([deleted(ours.encodeDifference(known)), mark], [1, 3])
  give(theirs, ours)
  assert.deepEqual(ours.text('text').toDelta(), [{ insert: 'ac' }])
  assert.deepEqual(theirs.getText('text').toDelta(), [{ insert: 'ac' }])
})

it('a format that is there already is written again by Yjs when its value holds a list or an object in it', async t => {
  const [ours, theirs] = await pair(t)
  const link = () => ({ link: { to: 'x', as: [1] } })
  theirs.getText('text').insert(0, 'abcd', link())
  give(theirs, ours)
  const news = []
  ours.on('update', update => news.push('ours'))
  theirs.on('update', update => news.push('theirs'))
  // Yjs compares values one level deep.
  theirs.getText('text').format(1, 2, link())
  ours.text('text').format(1, 2, link())
  await turn()
  assert.deepEqual(news, ['theirs'])
  assert.deepEqual(ours.text('text').toDelta(), [{ insert: 'abcd', attributes: link() }])
  assert.equal(theirs.getText('text').toDelta().map(({ insert }) => insert).join(''), 'abcd')
})

it('what has formats of its own goes before a mark that ends nothing any more, in Yjs behind it', async t => {
  const [ours, theirs] = await pair(t)
  const text = theirs.getText('text')
  text.insert(0, 'ab')
  text.format(1, 1, { bold: true })
  theirs.transact(transaction => {
    for (let item = text._start; item !== null; item = item.right) {
      if (item.content.value === true || item.content.str === 'b') item.delete(transaction)
    }
  })
  give(theirs, ours)
  const known = Y.encodeStateVector(theirs)
  const formats = { color: 'red' }
  text.insert(1, 'x', formats)
  ours.text('text').insert(1, 'x', formats)
  await turn()
  // The same text; but each of three structs names the mark as its right neighbor.
  const expected = [{ insert: 'a' }, { insert: 'x', attributes: formats }]
  assert.deepEqual([ours.text('text').toDelta(), text.toDelta()], [expected, expected])
  const rights = update => Y.decodeUpdate(update).structs.map(({ rightOrigin }) => rightOrigin !== null)
  assert.deepEqual(rights(ours.encodeDifference(known)), [true, true, true])
  assert.deepEqual(rights(Y.encodeStateAsUpdate(theirs, known)), [false, false, false])
})

it('Yjs can cut a character without telling, and then has another text than everybody else', async t => {
  const [ours, theirs] = await pair(t)
  theirs.getText('text').insert(0, '🙂')
  const other = new Y.Doc()
  const updates = [Y.encodeStateAsUpdate(theirs)]
  theirs.on('update', update => updates.push(update))
  // There is no such format: nothing is written, but the struct was cut on the way.
  theirs.getText('text').format(1, 1, { bold: null })
  updates.forEach(update => {
    ours.applyUpdate(update)
    Y.applyUpdate(other, update)
  })
  assert.equal(theirs.getText('text').toString(), '\ufffd\ufffd')
  assert.equal(other.getText('text').toString(), '🙂')
  assert.equal(String(ours.text('text')), '🙂')
})

/** An update of types that are nested in each other, in one that has a name. */
function nested(levels) {
  const number = value => (value < 128 ? [value] : [value & 127 | 128, ...number(value >> 7)])
  const bytes = [1, ...number(levels), 9, 0, 7, 1, 5, ...Buffer.from('array'), 0]
  for (let level = 1; level < levels; level += 1) bytes.push(7, 0, 9, ...number(level - 1), 0)
  return Uint8Array.from([...bytes, 0])
}

it('types that are nested deeper than 200 levels are refused, because yrs deletes by recursion', async t => {
  const [ours, theirs] = await pair(t)
  // 7,265 levels were too many for the stack of the module, when the outermost one was deleted.
  for (const levels of [200, 10_000]) assert.throws(() => ours.applyUpdate(nested(levels)), { code: 'update.too_deep' })
  ours.array('array').subscribeDeep(() => undefined)
  ours.applyUpdate(nested(199))
  let inner = ours.array('array')
  while (inner.length > 0) inner = inner.get(0)
  assert.throws(() => inner.push(newMap()), { code: 'api.too_deep' })
  inner.push(1)
  assert.match(JSON.stringify(ours.array('array').toJSON()), /^\[{200}1\]{200}$/)
  ours.array('array').delete(0, 1)
  assert.deepEqual(ours.array('array').toJSON(), [])
  // Yjs takes and deletes them, and cannot write them as JSON.
  Y.applyUpdate(theirs, nested(10_000))
  assert.throws(() => theirs.getArray('array').toJSON(), RangeError)
})

it('text among the entries of a list is read as one entry, and reading it ends', async t => {
  const [ours] = await pair(t)
  // yrs waits for more characters than there are where one takes two units.
  ours.applyUpdate(Buffer.from('01010100040105617272617904f09f998200', 'hex'))
  assert.deepEqual(ours.array('array').toJSON(), ['🙂'])
  assert.throws(() => ours.array('array').insert(1, 'x'), { code: 'api.split_surrogate' })
})

it('a format in the place of an entry is no entry, and who listens is told nothing of it', async t => {
  const [ours] = await pair(t)
  const told = []
  ours.map('map').subscribe(change => told.push(change))
  ours.applyUpdate(Buffer.from('010101002601036d6170016b04626f6c64047472756500', 'hex'))
  await turn()
  assert.deepEqual([ours.map('map').toJSON(), told], [{}, []])
})

it('the keys of an object come in the order of a hash from a room, and in that of writing from Yjs', async t => {
  const [ours, theirs] = await pair(t)
  // yrs keeps both in hash maps. What is read in a room is in order; who needs another one writes a list.
  const value = { zebra: 1, ant: { y: 1, x: 2 }, bee: 3 }
  ours.map('map').set('value', value)
  ours.map('map').set('other', 1)
  theirs.getMap('map').set('value', value)
  assert.deepEqual(Object.keys(theirs.getMap('map').get('value')), ['zebra', 'ant', 'bee'])
  const read = () => [ours.map('map').get('value'), ours.map('map').toJSON().value].map(it => [it, it.ant].map(Object.keys))
  const inOrder = [['ant', 'bee', 'zebra'], ['x', 'y']]
  assert.deepEqual(read(), [inOrder, inOrder])
  assert.deepEqual([ours.map('map').keys(), Object.keys(ours.map('map').entries())], [['other', 'value'], ['other', 'value']])
  take(ours, theirs)
  assert.deepEqual(theirs.getMap('map').get('value'), value)
  give(theirs, ours)
  assert.deepEqual(read(), [inOrder, inOrder])
})

it('trees are JSON in what toJSON gives, and markup in Yjs', async t => {
  const [ours, theirs] = await pair(t)
  const embedded = newXmlText([{ insert: 'b', attributes: { bold: true } }, { insert: newMap({ n: 1 }) }])
  ours.map('map').set('tree', newXmlElement('P', { a: 1 }, [newXmlText('a'), embedded]))
  take(ours, theirs)
  assert.deepEqual(ours.map('map').toJSON(), {
    tree: {
      name: 'P',
      attributes: { a: 1 },
      children: [
        { delta: [{ insert: 'a' }] },
        { delta: [{ insert: 'b', attributes: { bold: true } }, { insert: { n: 1 } }] },
      ],
    },
  })
  assert.deepEqual(theirs.getMap('map').toJSON(), { tree: '<p a="1">a<bold>b</bold>[object Object]</p>' })
})

it('a transaction that comes to nothing is told to nobody, and by Yjs as an event without steps', async t => {
  const [ours, theirs] = await pair(t)
  const told = []
  ours.text('text').subscribe(({ delta }) => told.push(['ours', delta]))
  theirs.getText('text').observe(({ delta }) => told.push(['theirs', delta]))
  for (const [doc, text] of [[ours, ours.text('text')], [theirs, theirs.getText('text')]]) {
    doc.transact(() => {
      text.insert(0, 'x')
      text.delete(0, 1)
    })
  }
  await turn()
  assert.deepEqual(told, [['theirs', []]])
})

it('a format that came and went in a transaction is told as gone, and not at all by Yjs', async t => {
  const [ours, theirs] = await pair(t)
  theirs.getText('text').insert(0, 'a')
  give(theirs, ours)
  const told = []
  ours.text('text').subscribe(({ delta }) => told.push(delta))
  theirs.getText('text').observe(({ delta }) => told.push(delta))
  for (const [doc, text] of [[theirs, theirs.getText('text')], [ours, ours.text('text')]]) {
    doc.transact(() => {
      text.format(0, 1, { color: 'red' })
      text.format(0, 1, { color: null, bold: true })
    })
  }
  await turn()
  // Whoever follows either has the same text.
  assert.deepEqual(told, [
    [{ retain: 1, attributes: { bold: true } }],
    [{ retain: 1, attributes: { bold: true, color: null } }],
  ])
})

it('what becomes of a character that is cut is told in a room; from the events of Yjs nobody learns it', async t => {
  const [ours, theirs] = await pair(t)
  const next = new Y.Doc()
  theirs.getText('text').insert(0, '🙂')
  give(theirs, ours)
  Y.applyUpdate(next, Y.encodeStateAsUpdate(theirs))
  const told = []
  next.getText('text').observe(({ delta }) => told.push(delta))
  ours.text('text').subscribe(({ delta }) => told.push(delta))
  theirs.on('update', update => {
    Y.applyUpdate(next, update)
    ours.applyUpdate(update)
  })
  theirs.getText('text').insert(1, 'x')
  await turn()
  assert.deepEqual([String(ours.text('text')), next.getText('text').toString()], ['\ufffdx\ufffd', '\ufffdx\ufffd'])
  assert.deepEqual(told, [
    [{ retain: 1 }, { insert: 'x' }],
    [{ delete: 2 }, { insert: '\ufffdx\ufffd' }],
  ])
})

it('what undo brings back stands before what was inserted in its place since, and in Yjs behind it', async t => {
  const [ours, theirs] = await pair(t)
  const undo = ours.undo({ scope: [ours.array('array')], origins: ['mine'] })
  const theirUndo = new Y.UndoManager(theirs.getArray('array'), { trackedOrigins: new Set(['mine']) })
  ours.array('array').push('old')
  ours.transact(() => ours.array('array').delete(0, 1), 'mine')
  ours.array('array').insert(0, 'new')
  theirs.getArray('array').push(['old'])
  theirs.transact(() => theirs.getArray('array').delete(0, 1), 'mine')
  theirs.getArray('array').insert(0, ['new'])
  undo.undo()
  theirUndo.undo()
  assert.deepEqual([ours.array('array').toJSON(), theirs.getArray('array').toJSON()], [['old', 'new'], ['new', 'old']])
})

it('undo brings bold text back plain when somebody with Yjs tidied the format away; in Yjs it was deleted, and comes back', async t => {
  const [ours, theirs] = await pair(t)
  const other = new Y.Doc()
  other.getText('text').insert(0, 'abc')
  other.getText('text').format(1, 1, { bold: true })
  give(other, ours)
  Y.applyUpdate(theirs, Y.encodeStateAsUpdate(other))
  const undo = ours.undo({ scope: ours.text('text') })
  const theirUndo = new Y.UndoManager(theirs.getText('text'))
  ours.text('text').delete(1, 1)
  theirs.getText('text').delete(1, 1)
  await turn()
  // Now the format says nothing, and whoever is told deletes it: with Yjs.
  take(ours, other)
  ours.applyUpdate(Y.encodeStateAsUpdate(other), 'elsewhere')
  undo.undo()
  theirUndo.undo()
  await turn()
  // A format that somebody else took away stays away.
  assert.deepEqual(ours.text('text').toDelta(), [{ insert: 'ab' }, { insert: 'c' }])
  assert.deepEqual(theirs.getText('text').toDelta(), [{ insert: 'a' }, { insert: 'b', attributes: { bold: true } }, { insert: 'c' }])
})
