// Undo and redo, as an app uses them.

import assert from 'node:assert/strict'
import test from 'node:test'
import * as Y from 'yjs'
import {
  type Room,
  type SharedMap,
  type Text,
  type TextChange,
  type Undo,
  type UndoItem,
  type XmlElement,
  type XmlText,
  newMap,
  newText,
  newXmlElement,
  newXmlText,
} from 'coweave'
import { Traps } from './trap.js'
import { NOWHERE, Relay, client, needsRelay, open, turn, until } from './world.js'

/** What an undo tells, in words. */
function listen(undo: Undo): string[] {
  const told: string[] = []
  for (const event of ['added', 'updated', 'popped'] as const) {
    undo.on(event, ({ kind }) => told.push(`${event} ${kind}`))
  }
  undo.on('cleared', () => told.push('cleared'))
  return told
}

/** Two people in a room of a relay. */
async function twoPeople(relay: Relay, t: Parameters<typeof client>[0]): Promise<[Room, Room]> {
  const rooms = [client(t, relay.url).room('room'), client(t, relay.url).room('room')] as const
  await Promise.all(rooms.map(room => room.synced))
  return [...rooms]
}

test('undo takes back, redo brings again, and edits close in time are one', async t => {
  const { doc } = await open(t)
  const body = doc.text('body')
  const undo = doc.undo({ scope: body })
  assert.ok(!undo.canUndo && !undo.canRedo && !undo.undo() && !undo.redo())
  body.insert(0, 'Hello')
  body.insert(5, ' world')
  undo.stop()
  body.delete(0, 6)
  assert.ok(undo.canUndo && !undo.canRedo)
  assert.ok(undo.undo())
  assert.equal(body.toString(), 'Hello world')
  assert.ok(undo.undo())
  assert.equal(body.toString(), '')
  assert.ok(!undo.canUndo && undo.canRedo)
  assert.ok(undo.redo() && undo.redo())
  assert.equal(body.toString(), 'world')
  undo.clear()
  assert.ok(!undo.canUndo && !undo.canRedo)
})

test('nothing is captured together when the time is zero, and one transaction always is', async t => {
  const { doc } = await open(t)
  const body = doc.text('body')
  const undo = doc.undo({ scope: [body, doc.map('meta')], captureTimeout: 0 })
  body.insert(0, 'a')
  doc.transact(() => {
    body.insert(1, 'b')
    doc.map('meta').set('title', 'x')
    doc.transact(() => {
      body.insert(2, 'c')
    })
  })
  undo.undo()
  assert.deepEqual([body.toString(), doc.map('meta').toJSON()], ['a', {}])
  undo.redo()
  assert.deepEqual([body.toString(), doc.map('meta').toJSON()], ['abc', { title: 'x' }])
})

test('only the origins that are asked for are undone', async t => {
  class Command {}
  const { doc } = await open(t)
  const body = doc.text('body')
  const key = Symbol('the editor')
  const typed = doc.undo({ scope: body, captureTimeout: 0 })
  const edited = doc.undo({ scope: body, captureTimeout: 0, origins: [key, Command, Number] })
  body.insert(0, 'a')
  for (const [content, origin] of [['b', key], ['c', new Command()], ['d', 'other'], ['f', 42]] as const) {
    doc.transact(() => {
      body.insert(body.length, content)
    }, origin)
  }
  doc.transact(() => {
    body.insert(body.length, 'e')
  }, null)
  for (const expected of ['abcde', 'abde', 'ade', 'ade']) {
    edited.undo()
    assert.equal(body.toString(), expected)
  }
  for (const expected of ['ad', 'd', 'd']) {
    typed.undo()
    assert.equal(body.toString(), expected)
  }
})

test('items carry what the app remembers, and events come after the changes', async t => {
  const { doc } = await open(t)
  const body = doc.text('body')
  const undo = doc.undo({ scope: body })
  const told: string[] = listen(undo)
  let caret = 0
  const restored: unknown[] = []
  const origins: unknown[] = []
  undo.on('added', ({ item }) => item.meta.set('caret', caret))
  undo.on('popped', ({ item }) => restored.push(item.meta.get('caret')))
  undo.on('changed', () => told.push(`${String(undo.canUndo)} ${String(undo.canRedo)}`))
  body.subscribe(({ delta, local, origin }: TextChange) => {
    assert.ok(local)
    origins.push(origin)
    told.push(JSON.stringify(delta))
  })
  body.insert(0, 'abc')
  assert.deepEqual(told, [])
  await turn()
  assert.deepEqual(told.splice(0), ['[{"insert":"abc"}]', 'added undo', 'true false'])
  body.insert(3, 'd')
  await turn()
  assert.deepEqual(told.splice(0), ['[{"retain":3},{"insert":"d"}]', 'updated undo', 'true false'])
  caret = 4
  undo.undo()
  await turn()
  assert.deepEqual(told.splice(0), ['[{"delete":4}]', 'added redo', 'popped undo', 'false true'])
  undo.redo()
  await turn()
  assert.deepEqual(told.splice(0), ['[{"insert":"abcd"}]', 'added undo', 'popped redo', 'true false'])
  assert.deepEqual(restored, [0, 4])
  assert.deepEqual(origins, [undefined, undefined, undo, undo])
  // Without a turn in between, the item that is told popped is the one that was told added.
  const items: UndoItem[] = []
  undo.on('added', ({ item, kind }) => kind === 'undo' && items.push(item))
  undo.on('popped', ({ item }) => items.push(item))
  undo.stop()
  body.insert(0, 'x')
  undo.undo()
  await turn()
  assert.equal(items.length, 2)
  assert.equal(items[0], items[1])
  undo.clear()
  await turn()
  assert.equal(told.at(-2), 'cleared')
})

test('a paragraph in which somebody else has written stays', needsRelay, async t => {
  const relay = await Relay.start(t)
  const [ana, ben] = await twoPeople(relay, t)
  const undo = ana.doc.undo({ scope: ana.doc.xml('page') })
  ana.doc.xml('page').push(newXmlElement('p', {}, [newXmlText('mine')]))
  await until('ben has the paragraph', () => ben.doc.xml('page').length === 1)
  const paragraph = ben.doc.xml('page').get(0) as XmlElement
  ;(paragraph.get(0) as XmlText).insert(4, ' THEIRS')
  const page = ana.doc.xml('page')
  await until('ana has the text', () => JSON.stringify(page.toJSON()).includes('mine THEIRS'))
  assert.ok(undo.undo())
  const left = [{ name: 'p', attributes: {}, children: [{ delta: [{ insert: ' THEIRS' }] }] }]
  assert.deepEqual(page.toJSON(), left)
  const isSame = (): boolean => JSON.stringify(ben.doc.xml('page').toJSON()) === JSON.stringify(left)
  await until('ben sees it, too', isSame)
  assert.ok(undo.redo())
  assert.ok(JSON.stringify(page.toJSON()).includes('mine THEIRS'))
})

test('what others type is never undone', needsRelay, async t => {
  const relay = await Relay.start(t)
  const [ana, ben] = await twoPeople(relay, t)
  const [hers, his] = [ana.doc.text('body'), ben.doc.text('body')]
  const undo = ana.doc.undo({ scope: hers })
  hers.insert(0, 'hello world')
  await until('ben has it', () => his.length === 11)
  his.insert(5, ', dear')
  his.delete(0, 1)
  await until('ana has it', () => hers.length === 16)
  undo.undo()
  assert.equal(hers.toString(), ', dear')
  await until('ben has that', () => his.toString() === ', dear')
  undo.redo()
  assert.equal(hers.toString(), 'ello, dear world')
  await until('ben has the rest', () => his.toString() === 'ello, dear world')
})

test('a type that comes back is another object', async t => {
  const { doc } = await open(t)
  const tasks = doc.map<{ first: SharedMap<{ title: string }> }>('tasks')
  const undo = doc.undo({ scope: tasks, captureTimeout: 0 })
  tasks.set('first', newMap<{ title: string }>({ title: 'write' }))
  const before = tasks.get('first')
  tasks.delete('first')
  undo.undo()
  const after = tasks.get('first')
  assert.notEqual(before, after)
  assert.equal(after?.get('title'), 'write')
  assert.throws(() => before?.get('title'), { code: 'api.deleted' })
})

test('a trap clears what can be undone, and what comes then can be undone again', async t => {
  const traps = Traps.set(t)
  const room = await open(t)
  const body = room.doc.text('body')
  const undo = room.doc.undo({ scope: body })
  const told = listen(undo)
  body.insert(0, 'before')
  await turn()
  traps.inside = 'now'
  undo.stop()
  assert.throws(() => {
    body.insert(0, 'trap')
  }, { code: 'client.internal' })
  assert.ok(!undo.canUndo)
  assert.ok(!undo.undo())
  body.insert(6, ' after')
  assert.ok(undo.undo())
  assert.equal(body.toString(), 'before')
  await turn()
  assert.ok(told.includes('cleared'))
})

test('what follows a trap in a transaction has the origin of that transaction', async t => {
  const traps = Traps.set(t)
  const { doc } = await open(t)
  const body = doc.text('body')
  const undo = doc.undo({ scope: body })
  await turn()
  undo.stop()
  doc.transact(() => {
    traps.inside = 'now'
    assert.throws(() => {
      body.insert(0, 'trap')
    }, { code: 'client.internal' })
    body.insert(0, 'by a program')
  }, 'a program')
  assert.ok(!undo.canUndo)
  body.insert(0, 'typed ')
  assert.ok(undo.undo())
  assert.equal(body.toString(), 'by a program')
})

test('what is no use is refused in words', async t => {
  const { doc } = await open(t)
  const other = await open(t)
  const wrong: readonly unknown[] = [
    undefined, {}, { scope: [] }, { scope: [1] }, { scope: other.doc.text('body') },
    { scope: doc.text('body'), origins: 5 }, { scope: doc.text('body'), origins: 'editor' }, { scope: doc.text('body'), captureTimeout: NaN },
    { scope: doc.text('body'), captureTimeout: '1' },
  ]
  for (const options of wrong) {
    assert.throws(() => doc.undo(options as never), { code: 'api.wrong_type' }, JSON.stringify(options))
  }
  const map = doc.map<{ inner: SharedMap }>('map')
  map.set('inner', newMap())
  const inner = map.get('inner')
  assert.ok(inner !== undefined)
  map.delete('inner')
  assert.throws(() => doc.undo({ scope: inner }), { code: 'api.deleted' })
  const undo = doc.undo({ scope: doc.text('body') })
  assert.throws(() => undo.on('nothing' as never, () => undefined), { code: 'api.wrong_type' })
})

test('a disposed undo does nothing any more, nor does one of a disposed room', async t => {
  const clientOfIt = client(t, NOWHERE)
  const [room, other] = [clientOfIt.room('room'), clientOfIt.room('room')]
  await room.loaded
  const body = room.doc.text('body')
  const [one, two] = [room.doc.undo({ scope: body }), room.doc.undo({ scope: body })]
  body.insert(0, 'a')
  one.dispose()
  one.dispose()
  assert.ok(!one.canUndo)
  assert.throws(() => one.undo(), { code: 'api.disposed' })
  assert.ok(two.undo())
  room.dispose()
  assert.ok(!two.canUndo)
  assert.throws(() => two.redo(), { code: 'api.disposed' })
  assert.throws(() => { two.stop() }, { code: 'api.disposed' })
  assert.equal(other.doc.text('body').toString(), '')
})

test('what yrs and Yjs bring back so that nobody takes it in comes back for all', async t => {
  const { doc } = await open(t)
  const array = doc.array('array')
  const mirror = new Y.Doc()
  doc.on('update', update => {
    Y.applyUpdate(mirror, update)
  })
  const undo = doc.undo({ scope: array, captureTimeout: 0 })
  array.insert(0, newText('ab'))
  const text = (): Text => array.get(0) as Text
  doc.transact(() => {
    text().delete(1, 1)
    text().delete(0, 1)
    undo.undo()
  })
  text().insert(1, 'YY')
  doc.transact(() => {
    array.delete(0, 1)
    array.insert(0, newText('ab'))
    undo.undo()
  })
  array.push('next')
  await turn()
  assert.deepEqual(array.toJSON().at(-1), 'next')
  assert.deepEqual(mirror.getArray('array').toJSON(), array.toJSON())
})

test('a large deletion comes back in updates that every relay takes', async t => {
  const { doc } = await open(t)
  const text = doc.text('text')
  for (let count = 0; count < 10; count += 1) text.insert(0, String(count).repeat(100_000))
  const undo = doc.undo({ scope: text })
  text.delete(0, text.length)
  await turn()
  let largest = 0
  doc.on('update', update => {
    largest = Math.max(largest, update.length)
  })
  undo.undo()
  await turn()
  assert.equal(text.length, 1_000_000)
  assert.ok(largest > 0 && largest < 500_000, String(largest))
})
