// Errors: the codes are those of the core, and every misuse gives one of them and nothing else.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test from 'node:test'
import { CoweaveError, type ErrorCode, connect } from 'coweave'
import { errorCodes } from '../dist/error.js'
import { NOWHERE, client, open, turn } from './world.js'

/** What an app without types may hand in. */
const any = (value: unknown): never => value as never

function refuses(code: ErrorCode, call: () => unknown): void {
  assert.throws(call, (error: unknown) => {
    assert.ok(error instanceof CoweaveError, String(error))
    assert.equal(error.code, code, error.message)
    assert.equal(error.fault, 'app')
    assert.equal(error.retryable, false)
    return true
  })
}

test('the codes are those of the core', async () => {
  const source = await readFile(new URL('../../core/src/error.rs', import.meta.url), 'utf8')
  const codes = [...source.matchAll(/= "([a-z_.]+)", \w+, (?:true|false);/g)].map(match => match[1])
  assert.ok(codes.length > 30)
  assert.deepEqual([...errorCodes], codes)
})

test('connect refuses what is no address or no option', () => {
  for (const url of [undefined, null, 7, {}]) refuses('api.wrong_type', () => connect(any(url)))
  for (const url of ['', 'relay', '/relay', 'ftp://relay', 'ws://']) {
    refuses('api.invalid_url', () => connect(url))
  }
  const options = [null, 'token', { token: 'secret' }, { storage: 'disk' }, { webSocket: {} }]
  for (const option of options) refuses('api.wrong_type', () => connect(NOWHERE, any(option)))
})

test('http addresses become WebSocket addresses', t => {
  assert.equal(client(t, 'http://127.0.0.1:9/x#y').url, 'ws://127.0.0.1:9/x')
  assert.equal(client(t, 'https://relay.example').url, 'wss://relay.example/')
})

test('a room refuses a name that the core would refuse', t => {
  const it = client(t, NOWHERE)
  for (const name of [undefined, 7, null, {}]) refuses('api.wrong_type', () => it.room(any(name)))
  for (const name of ['', 'a\nb', 'a\u0085b', 'é'.repeat(129)]) {
    refuses('room.invalid_name', () => it.room(name))
  }
  refuses('api.split_surrogate', () => it.room('\ud83d'))
  it.room('é'.repeat(128)).dispose()
})

test('a document that is not loaded says so', t => {
  const body = client(t, NOWHERE).room('room').doc.text('body')
  refuses('api.not_ready', () => {
    body.insert(0, 'x')
  })
  refuses('api.not_ready', () => body.toString())
  refuses('api.not_ready', () => body.subscribe(() => undefined))
})

test('every wrong call of a text or a room is refused, and the room works afterwards', async t => {
  const room = await open(t)
  const body = room.doc.text('body')
  body.insert(0, 'a😀b')
  for (const index of [undefined, null, '0', NaN, 0.5, Infinity, {}, 0n]) {
    refuses('api.wrong_type', () => {
      body.insert(any(index), 'x')
    })
    refuses('api.wrong_type', () => {
      body.delete(any(index), 1)
    })
    refuses('api.wrong_type', () => {
      body.delete(0, any(index))
    })
    refuses('api.wrong_type', () => body.position(any(index)))
  }
  for (const index of [-1, 5, 2 ** 32, 2 ** 53]) {
    refuses('api.out_of_range', () => {
      body.insert(index, 'x')
    })
    refuses('api.out_of_range', () => {
      body.delete(index, 1)
    })
    refuses('api.out_of_range', () => {
      body.delete(0, index)
    })
    refuses('api.out_of_range', () => body.position(index))
  }
  refuses('api.split_surrogate', () => {
    body.insert(2, 'x')
  })
  refuses('api.split_surrogate', () => {
    body.delete(1, 1)
  })
  for (const content of ['\ud83d', '\ude00', 'a\ud83db', '\ude00\ud83d']) {
    refuses('api.split_surrogate', () => {
      body.insert(0, content)
    })
  }
  for (const content of [undefined, null, 7, ['x']]) {
    refuses('api.wrong_type', () => {
      body.insert(0, any(content))
    })
  }
  refuses('api.wrong_type', () => room.doc.text(any(7)))
  refuses('api.wrong_type', () => room.doc.transact(any('x')))
  refuses('api.wrong_type', () => room.doc.transact(async () => Promise.resolve()))
  refuses('api.wrong_type', () => body.subscribe(any(undefined)))
  refuses('api.wrong_type', () => body.position(0, any('up')))
  refuses('api.wrong_type', () => room.on(any('toString'), () => undefined))
  refuses('api.wrong_type', () => room.on('status', any(null)))
  refuses('api.wrong_type', () => room.presence.subscribe(any(1)))
  const round: Record<string, unknown> = {}
  round['round'] = round
  for (const state of [undefined, 7, 'x', [], round, { x: 1n }, new Date()]) {
    refuses('api.wrong_type', () => {
      room.presence.set(any(state))
    })
  }
  for (const position of [undefined, null, 7, 'x', {}, [], { tname: 7, item: { client: -1 } }]) {
    assert.equal(body.resolve(any(position)), null)
  }
  body.insert(4, '!')
  assert.equal(body.toString(), 'a😀b!')
})

test('a disposed room or client says so, and to dispose twice does no harm', async t => {
  const it = client(t, NOWHERE)
  const room = it.room('room')
  const other = it.room('room')
  await room.loaded
  const body = room.doc.text('body')
  body.insert(0, 'x')
  const subscription = body.subscribe(() => undefined)
  room.dispose()
  room.dispose()
  subscription.dispose()
  subscription.dispose()
  assert.deepEqual(room.status, { state: 'disposed' })
  refuses('api.disposed', () => {
    body.insert(0, 'x')
  })
  refuses('api.disposed', () => body.length)
  refuses('api.disposed', () => room.doc.text('body'))
  refuses('api.disposed', () => room.doc.transact(() => undefined))
  refuses('api.disposed', () => {
    room.presence.set({ name: 'Ana' })
  })
  await assert.rejects(room.flush(), { code: 'api.disposed' })
  await assert.rejects(room.seed({ body: 'x' }), { code: 'api.disposed' })
  await turn()
  // The other share lives on.
  assert.equal(other.doc.text('body').toString(), 'x')
  it.dispose()
  it.dispose()
  refuses('api.disposed', () => it.room('room'))
  refuses('api.disposed', () => other.doc.text('body').toString())
  await assert.rejects(other.flush(), { code: 'api.disposed' })
  await assert.rejects(other.synced, { code: 'api.disposed' })
})

test('content for an empty room has to be texts by name', async t => {
  const room = await open(t)
  for (const wrong of [undefined, null, 'x', ['x'], { body: 1 }, { body: null }]) {
    await assert.rejects(room.seed(wrong as never), { code: 'api.wrong_type' })
  }
  await assert.rejects(room.seed({ body: '\ud83d' }), { code: 'api.split_surrogate' })
})

test('handles and subscriptions can be used with `using`', { skip: !('dispose' in Symbol) }, async t => {
  const room = await open(t)
  const subscription = room.on('status', () => undefined)
  for (const disposer of [subscription, room, client(t, NOWHERE)]) disposer[Symbol.dispose]()
  assert.equal(room.status.state, 'disposed')
})

test('who listens to a room that is gone hears nothing, and shows nothing any more', async t => {
  const it = client(t, NOWHERE)
  const left = it.room('room')
  const stays = it.room('room')
  await stays.loaded
  left.dispose()
  let heard = 0
  const hear = (): void => {
    heard += 1
  }
  // Components clean up and subscribe in an order that no app decides.
  const subscriptions = [left.on('saved', hear), left.presence.subscribe(hear)]
  left.presence.set(null)
  stays.doc.text('body').insert(0, 'x')
  await new Promise(resolve => stays.presence.subscribe(resolve))
  assert.equal(heard, 0)
  for (const subscription of subscriptions) subscription.dispose()
  assert.equal(it.debug().rooms[0]?.shares, 1)
  it.dispose()
  stays.on('status', hear)
  stays.presence.subscribe(hear)
  stays.presence.set(null)
})

test('what waits for a share in a room ends with it, although another one goes on', async t => {
  const it = client(t, NOWHERE)
  const left = it.room('room')
  const stays = it.room('room')
  const waiting = [left.loaded, left.synced, left.flush(), left.seed({ body: 'x' })]
  left.dispose()
  for (const promise of waiting) await assert.rejects(promise, { code: 'api.disposed' })
  await stays.loaded
  // It is there already: who leaves before the answer comes is not to use what is gone.
  const late = it.room('room')
  const { loaded } = late
  assert.equal(loaded, late.loaded)
  late.dispose()
  await assert.rejects(loaded, { code: 'api.disposed' })
  await assert.rejects(late.synced, { code: 'api.disposed' })
  assert.equal(stays.doc.text('body').toString(), '')
})

test('what waits for a room ends when it is disposed before it is there', async t => {
  const it = client(t, NOWHERE)
  const room = it.room('room')
  it.dispose()
  await assert.rejects(room.loaded, { code: 'api.disposed' })
  await assert.rejects(room.synced, { code: 'api.disposed' })
})
