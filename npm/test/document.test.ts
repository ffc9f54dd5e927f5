// A document without a relay: edits, changes, positions, and what listeners may do.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TextChange } from 'coweave'
import { NOWHERE, Relay, client, needsRelay, open, turn, until } from './world.js'

test('a text is edited and read, with nobody to connect to', async t => {
  const room = await open(t)
  const body = room.doc.text('body')
  assert.equal(body.length, 0)
  body.insert(0, 'Hello wrld')
  body.insert(7, 'o')
  body.delete(0, 1)
  body.insert(0, 'h😀')
  assert.equal(body.toString(), 'h😀ello world')
  assert.equal(body.length, 'h😀ello world'.length)
  assert.equal(room.doc.text('other').toString(), '')
  assert.deepEqual(room.storage, { kind: 'memory' })
})

test('what is edited is never called saved before it is', async t => {
  const room = await open(t)
  assert.deepEqual(room.saved, { tier: 'durable', pending: 0 })
  room.doc.text('body').insert(0, 'x')
  assert.deepEqual(room.saved, { tier: 'memory', pending: 1 })
  assert.equal(room.saved, room.saved)
})

test('changes come after the code that made them, in order', async t => {
  const room = await open(t)
  const body = room.doc.text('body')
  const changes: TextChange[] = []
  const subscription = body.subscribe(change => changes.push(change))
  body.insert(0, 'ab')
  body.delete(0, 1)
  assert.equal(changes.length, 0)
  await turn()
  assert.deepEqual(changes, [
    { delta: [{ insert: 'ab' }], local: true, origin: undefined },
    { delta: [{ delete: 1 }], local: true, origin: undefined },
  ])
  subscription.dispose()
  body.insert(0, 'x')
  await turn()
  assert.equal(changes.length, 2)
  assert.equal(body.toString(), 'xb')
})

test('a transaction gives its result, nests, and leaves what was done before it throws', async t => {
  const room = await open(t)
  const body = room.doc.text('body')
  const result = room.doc.transact(() => {
    body.insert(0, 'a')
    room.doc.transact(() => {
      body.insert(1, 'b')
    })
    return body.toString()
  })
  assert.equal(result, 'ab')
  assert.equal(room.saved.pending, 1)
  assert.throws(() => {
    room.doc.transact(() => {
      body.insert(2, 'c')
      throw new Error('mine')
    })
  }, /mine/)
  assert.equal(body.toString(), 'abc')
  assert.equal(room.saved.pending, 2)
})

test('a function that goes on later is no transaction, and what it throws is reported', async t => {
  const { doc } = await open(t)
  const body = doc.text('body')
  const reported: unknown[] = []
  t.mock.method(console, 'error', (error: unknown) => reported.push(error))
  const later = async (): Promise<void> => {
    body.insert(0, 'at once')
    await turn()
    throw new Error('mine')
  }
  // Some libraries bring a promise of their own.
  const other = (): unknown => ({ then: () => undefined })
  for (const change of [later, other]) {
    assert.throws(() => doc.transact(change), { code: 'api.wrong_type' })
  }
  assert.equal(body.toString(), 'at once')
  await until('it is reported', () => reported.length === 1)
})

test('a room may be disposed within its own transaction or listener', async t => {
  const it = client(t, NOWHERE)
  const room = it.room('room')
  await room.loaded
  room.doc.transact(() => {
    room.doc.text('body').insert(0, 'a')
    it.dispose()
  })
  const other = await open(t)
  let calls = 0
  other.doc.text('body').subscribe(() => {
    calls += 1
    other.dispose()
  })
  other.doc.text('body').insert(0, 'a')
  other.doc.text('body').insert(0, 'b')
  await turn()
  assert.equal(calls, 1)
})

test('a listener that throws disturbs nobody', async t => {
  const room = await open(t)
  const body = room.doc.text('body')
  const reported: unknown[] = []
  t.mock.method(console, 'error', (error: unknown) => reported.push(error))
  let calls = 0
  body.subscribe(() => {
    throw new Error('mine')
  })
  body.subscribe(() => {
    calls += 1
  })
  body.insert(0, 'x')
  await turn()
  assert.equal(calls, 1)
  assert.equal(reported.length, 1)
  body.insert(0, 'y')
  assert.equal(body.toString(), 'yx')
})

test('a listener may read and edit', async t => {
  const room = await open(t)
  const body = room.doc.text('body')
  const seen: string[] = []
  body.subscribe(() => {
    seen.push(body.toString())
    if (body.length < 5) body.insert(body.length, 'x')
  })
  body.insert(0, 'a')
  await turn()
  assert.deepEqual(seen, ['a', 'ax', 'axx', 'axxx', 'axxxx'])
})

test('a position stays with its neighbor', async t => {
  const room = await open(t)
  const body = room.doc.text('body')
  body.insert(0, 'abcd')
  const right = body.position(2)
  const left = body.position(2, 'left')
  body.insert(2, '--')
  assert.equal(body.resolve(right), 4)
  assert.equal(body.resolve(left), 2)
  body.delete(0, 2)
  assert.equal(body.resolve(JSON.parse(JSON.stringify(right))), 2)
  assert.equal(room.doc.text('other').resolve(right), null)
})

test('two shares of a room are one document; the last one ends it', needsRelay, async t => {
  const relay = await Relay.start(t)
  const it = client(t, relay.url)
  const first = it.room('room')
  const second = it.room('room')
  await first.loaded
  first.doc.text('body').insert(0, 'x')
  assert.equal(second.doc.text('body').toString(), 'x')
  first.dispose()
  second.dispose()
  // Asked for again at once, it is still the same.
  const third = it.room('room')
  await turn()
  assert.equal(third.doc.text('body').toString(), 'x')
  await third.flush()
  third.dispose()
  // While there is no other one, it stays for a moment.
  await it.room('another').loaded
  await turn()
  const fresh = it.room('room')
  await fresh.loaded
  assert.equal(fresh.doc.text('body').toString(), '')
  await fresh.synced
  assert.equal(fresh.doc.text('body').toString(), 'x')
})
