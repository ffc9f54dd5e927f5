// A trapped instance of the wasm module, and the one that goes on in its place.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Client, CoweaveError, Room, TextChange } from 'coweave'
import { type SharedMap, newMap } from 'coweave'
import { Traps } from './trap.js'
import { NOWHERE, Relay, client, needsRelay, turn, until } from './world.js'

/** What a client tells of restarts. */
function restarts(it: Client): readonly CoweaveError[] {
  const errors: CoweaveError[] = []
  it.on('restarted', error => errors.push(error))
  return errors
}

/** The text as its listeners know it. */
function follow(room: Room, name: string): { text: string; readonly local: boolean[] } {
  const followed = { text: room.doc.text(name).toString(), local: [] as boolean[] }
  room.doc.text(name).subscribe(({ delta, local }: TextChange) => {
    followed.local.push(local)
    let at = 0
    for (const step of delta) {
      const { text } = followed
      if ('retain' in step) {
        at += step.retain
      } else if ('delete' in step) {
        followed.text = text.slice(0, at) + text.slice(at + step.delete)
      } else {
        const { insert } = step
        assert.ok(typeof insert === 'string')
        followed.text = text.slice(0, at) + insert + text.slice(at)
        at += insert.length
      }
    }
  })
  return followed
}

test('an edit that traps throws to its caller, and nothing else is lost', async t => {
  const traps = Traps.set(t)
  const it = client(t, NOWHERE)
  const told = restarts(it)
  const room = it.room('room')
  await room.loaded
  const body = room.doc.text('body')
  const followed = follow(room, 'body')
  body.insert(0, 'kept')
  await turn()
  body.insert(4, ' too')
  traps.inside = 'edited'
  assert.throws(() => {
    body.insert(0, 'not ')
  }, { name: 'CoweaveError', code: 'client.internal' })
  assert.equal(body.toString(), 'kept too')
  assert.equal(told.length, 0)
  body.insert(8, '!')
  await turn()
  assert.equal(followed.text, 'kept too!')
  assert.deepEqual(followed.local, [true, true, true])
  assert.equal(told.length, 1)
  assert.equal(told[0]?.code, 'client.internal')
  assert.deepEqual(room.saved, { tier: 'memory', pending: 3 })
  assert.equal(traps.count, 2)
})

test('edits that the module had taken, but not told of, are told of once', async t => {
  const traps = Traps.set(t)
  const it = client(t, NOWHERE)
  const told = restarts(it)
  const room = it.room('room')
  await room.loaded
  const followed = follow(room, 'body')
  room.doc.text('body').insert(0, 'a')
  traps.inside = 'own'
  await turn()
  assert.equal(told.length, 1)
  assert.equal(followed.text, 'a')
  room.doc.text('body').insert(1, 'b')
  traps.inside = 'notify'
  traps.always.add('client_drain')
  await Promise.resolve()
  traps.always.clear()
  await turn()
  assert.equal(followed.text, 'ab')
  assert.ok(followed.local.every(local => local))
  assert.equal(room.doc.text('body').toString(), 'ab')
})

test('a transaction goes on where it was', async t => {
  const traps = Traps.set(t)
  const room = client(t, NOWHERE).room('room')
  await room.loaded
  const body = room.doc.text('body')
  const followed = follow(room, 'body')
  room.doc.transact(() => {
    body.insert(0, 'a')
    traps.inside = 'edited'
    assert.throws(() => {
      body.insert(1, 'x')
    })
    body.insert(1, 'b')
    body.insert(2, 'c')
    assert.equal(body.toString(), 'abc')
  })
  await turn()
  assert.equal(followed.text, 'abc')
  // What came before and after the trap.
  assert.equal(room.saved.pending, 2)
})

test('a transaction that traps as it begins is none, and its origin is not that of what follows', async t => {
  const traps = Traps.set(t)
  const { doc, loaded } = client(t, NOWHERE).room('room')
  await loaded
  const body = doc.text('body')
  const origins: unknown[] = []
  doc.on('update', (_, { origin }) => origins.push(origin))
  const undo = doc.undo({ scope: body, origins: ['mine'] })
  const begin = (): void => {
    traps.inside = 'now'
    assert.throws(() => doc.transact(() => assert.fail('it did not begin'), 'mine'), { code: 'client.internal' })
  }
  begin()
  body.insert(0, 'a')
  await turn()
  assert.equal(undo.canUndo, false)
  doc.transact(() => {
    body.insert(1, 'b')
    begin()
    body.insert(2, 'c')
  }, 'outer')
  await turn()
  assert.deepEqual([body.toString(), undo.canUndo], ['abc', false])
  assert.deepEqual(origins, [undefined, 'outer'])
})

test('an instance that traps again and again is given up', async t => {
  const traps = Traps.set(t)
  const it = client(t, NOWHERE)
  const told = restarts(it)
  const room = it.room('room')
  await room.loaded
  const synced = assert.rejects(room.synced, { code: 'client.internal' })
  traps.always.add('client_drain')
  room.doc.text('body').insert(0, 'a')
  await until('the room to stop', () => room.status.state === 'stopped')
  await synced
  assert.equal(traps.count, 4)
  assert.equal(told.length, 3)
  assert.throws(() => {
    room.doc.text('body').insert(0, 'a')
  }, { code: 'client.internal', message: /bug in coweave/ })
  room.dispose()
  it.dispose()
})

test('an update that no instance can bear stops the rooms after three restarts', needsRelay, async t => {
  const traps = Traps.set(t)
  const relay = await Relay.start(t)
  const it = client(t, relay.url)
  const told = restarts(it)
  const room = it.room('room')
  await room.synced
  const theirs = client(t, relay.url).room('room')
  await theirs.synced
  // Whatever others write, and however often the relay sends it, is too much.
  traps.alwaysInside = 'other'
  theirs.doc.text('body').insert(0, 'poison')
  await until('the room to stop', () => room.status.state === 'stopped')
  assert.ok(room.status.state === 'stopped')
  assert.equal(room.status.error.code, 'client.internal')
  assert.equal(told.length, 3)
  assert.deepEqual(room.saved, { tier: 'durable', pending: 0 })
  assert.throws(() => room.doc.text('body').length, { code: 'client.internal' })
  await assert.rejects(it.room('another').loaded, { code: 'client.internal' })
  const { count } = traps
  await turn()
  assert.equal(traps.count, count, 'and it is not tried again')
})

test('an app that uses up the stack loses no more than the call that found none', async t => {
  const traps = Traps.set(t)
  const it = client(t, NOWHERE)
  const room = it.room('room')
  await room.loaded
  const body = room.doc.text('body')
  const followed = follow(room, 'body')
  let typed = 0
  const dive = (...ballast: readonly number[]): void => {
    body.insert(0, 'x')
    typed += 1
    dive(...ballast)
  }
  for (let round = 1; round <= 2; round += 1) {
    assert.throws(() => {
      dive(...Array<number>(400).fill(0))
    })
    await until('an instance', () => {
      try {
        return body.length >= typed
      } catch {
        return false
      }
    })
    assert.ok(body.length >= typed && body.length <= typed + round, `${String(body.length)} of ${String(typed)}`)
    await until('the app is told', () => followed.text.length === body.length)
  }
  assert.ok(traps.count > 1 && traps.count <= 4)
  body.insert(0, 'goes on ')
  await until('the app is told', () => followed.text === body.toString())
})

test('an instance that cannot be started in the place of another is tried for again', async t => {
  const traps = Traps.set(t)
  const it = client(t, NOWHERE)
  const told = restarts(it)
  const room = it.room('room')
  await room.loaded
  room.doc.text('body').insert(0, 'a')
  await turn()
  traps.always.add('room_restore')
  traps.inside = 'edited'
  assert.throws(() => {
    room.doc.text('body').insert(0, 'b')
  })
  traps.always.clear()
  await turn()
  assert.equal(room.doc.text('body').toString(), 'a')
  assert.equal(told.length, 1)
  assert.equal(traps.count, 3)
})

test('a room that is left by a call that traps leaves nothing behind', needsRelay, async t => {
  const traps = Traps.set(t)
  const relay = await Relay.start(t)
  const it = client(t, relay.url)
  const room = it.room('room')
  room.presence.set({ name: 'Ana' })
  await room.synced
  room.doc.text('body').insert(0, 'last words')
  traps.inside = 'own'
  room.dispose()
  await until('another instance', () => traps.count === 2)
  const other = client(t, relay.url).room('room')
  await until('the words', () => other.status.state === 'live' && other.doc.text('body').length > 0)
  assert.equal(other.doc.text('body').toString(), 'last words')
  await until('nobody is seen', () => other.presence.peers.length === 0)
  await until('nobody is there', () => it.debug().connection?.state === 'unneeded')
})

test('the last words of a client that is disposed by a call that traps get to the relay', needsRelay, async t => {
  const traps = Traps.set(t)
  const relay = await Relay.start(t)
  const it = client(t, relay.url)
  const room = it.room('room')
  await room.synced
  room.doc.text('body').insert(0, 'last words')
  traps.inside = 'own'
  it.dispose()
  assert.throws(() => it.room('room'), { code: 'api.disposed' })
  assert.equal(traps.count, 2)
  const other = client(t, relay.url).room('room')
  await until('the words', () => other.status.state === 'live' && other.doc.text('body').length > 0)
  assert.equal(other.doc.text('body').toString(), 'last words')
})

test('whatever the socket brings, the session goes on after it', needsRelay, async t => {
  const traps = Traps.set(t)
  const relay = await Relay.start(t)
  const ana = client(t, relay.url)
  const told = restarts(ana)
  const mine = ana.room<{ name: string }>('room')
  mine.presence.set({ name: 'Ana' })
  await mine.synced
  const followed = follow(mine, 'body')
  const bo = client(t, relay.url)
  const theirs = bo.room<{ name: string }>('room')
  theirs.presence.set({ name: 'Bo' })
  await theirs.synced
  mine.doc.text('body').insert(0, 'one ')
  await mine.flush()
  let synced = 0
  mine.on('synced', () => {
    synced += 1
  })
  // An update of somebody else traps in the middle of being taken in.
  traps.inside = 'other'
  theirs.doc.text('body').insert(4, 'two ')
  await until('a restart', () => told.length === 1)
  mine.doc.text('body').insert(0, 'zero ')
  const flushed = mine.flush()
  await until('both', () => followed.text === 'zero one two ')
  await flushed
  await theirs.flush()
  assert.equal(theirs.doc.text('body').toString(), 'zero one two ')
  assert.deepEqual(mine.saved, { tier: 'durable', pending: 0 })
  await until('Bo is seen', () => mine.presence.peers.some(({ state }) => state.name === 'Bo'))
  await until('Ana is seen once', () => theirs.presence.peers.length === 1)
  assert.equal(theirs.presence.peers[0]?.state.name, 'Ana')
  assert.equal(synced, 0, 'the document had been in step before')
})

test('edits of offline times, requests to flush and seeds outlive the instance', needsRelay, async t => {
  const traps = Traps.set(t)
  const relay = await Relay.start(t)
  const it = client(t, relay.url)
  const room = it.room('room')
  const fresh = it.room('fresh')
  await room.synced
  await fresh.loaded
  await relay.stop()
  await until('offline', () => room.status.state === 'offline')
  room.doc.text('body').insert(0, 'offline')
  const flushed = room.flush()
  const seeded = fresh.seed({ body: 'first' })
  await turn()
  traps.inside = 'edited'
  assert.throws(() => {
    room.doc.text('body').insert(0, 'x')
  })
  await relay.start()
  await flushed
  assert.equal(await seeded, true)
  assert.equal(fresh.doc.text('body').toString(), 'first')
  const other = client(t, relay.url).room('room')
  await other.synced
  assert.equal(other.doc.text('body').toString(), 'offline')
})

test('a long log is folded, and is still all there is', async t => {
  const traps = Traps.set(t)
  const room = client(t, NOWHERE).room('room')
  await room.loaded
  const body = room.doc.text('body')
  let expected = ''
  for (let i = 0; i < 1200; i += 1) {
    const word = `${String(i)} `
    body.insert(body.length, word)
    expected += word
    await Promise.resolve()
    await Promise.resolve()
  }
  traps.inside = 'edited'
  assert.throws(() => {
    body.insert(0, 'x')
  })
  assert.equal(body.toString(), expected)
  assert.equal(room.saved.pending, 1200)
})

test('subscriptions to parts that are deleted, or as new as the trap, do not keep a client from going on', async t => {
  const traps = Traps.set(t)
  const it = client(t, NOWHERE)
  const room = it.room('room')
  await room.loaded
  const map = room.doc.map('map')
  const seen: unknown[] = []
  map.set('gone', newMap({ a: 1 }))
  ;(map.get('gone') as SharedMap).subscribe(() => seen.push('gone'))
  await turn()
  map.delete('gone')
  await turn()
  map.set('new', newMap({ a: 1 }))
  const part = map.get('new') as SharedMap
  part.subscribe(change => seen.push([...change.keys.keys()]))
  traps.inside = 'edited'
  assert.throws(() => {
    map.set('more', 1)
  }, { code: 'client.internal' })
  await turn()
  assert.equal(room.status.state, 'offline')
  part.set('b', 2)
  await turn()
  assert.deepEqual(seen, [['b']])
  assert.deepEqual(map.toJSON(), { new: { a: 1, b: 2 } })
})
