// The connection as a fake socket sees it: attempts, tokens, and the end of it.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { RoomStatus } from 'coweave'
import { NOWHERE, client, turn, until } from './world.js'

/** A socket that never opens by itself. */
class FakeSocket {
  static made: FakeSocket[] = []
  binaryType = 'blob'
  protocol = ''
  onopen: (() => void) | null = null
  onmessage: ((message: { readonly data: unknown }) => void) | null = null
  onclose: (() => void) | null = null
  readonly sent: Uint8Array[] = []
  isClosed = false
  readonly url: string

  constructor(url: string, protocol: string) {
    assert.equal(protocol, 'coweave.v1')
    this.url = url
    FakeSocket.made.push(this)
  }

  open(): void {
    this.protocol = 'coweave.v1'
    this.onopen?.()
  }

  send(data: ArrayBuffer): void {
    this.sent.push(new Uint8Array(data))
  }

  close(): void {
    this.isClosed = true
  }
}

test.beforeEach(() => {
  FakeSocket.made = []
})

const last = (): FakeSocket => {
  const socket = FakeSocket.made.at(-1)
  assert.ok(socket !== undefined)
  return socket
}

test('the token is asked for at each attempt, and is in the first frame', async t => {
  const tokens = ['first', 'second']
  const it = client(t, NOWHERE, { webSocket: FakeSocket, token: () => tokens.shift() ?? '' })
  it.room('room')
  await until('a socket', () => FakeSocket.made.length === 1)
  last().open()
  assert.match(Buffer.concat(last().sent).toString('latin1'), /first/)
  last().onclose?.()
  await until('another socket', () => FakeSocket.made.length === 2)
  last().open()
  assert.match(Buffer.concat(last().sent).toString('latin1'), /second/)
})

/** A wait could be drawn so short that the next attempt comes before the app hears of the last one. */
function drawLongWaits(t: TestContext): void {
  t.mock.method(crypto, 'getRandomValues', (bytes: Uint8Array) => bytes.fill(90))
}

test('a token callback that fails is an attempt that failed', async t => {
  const failures = [
    () => {
      throw new Error('mine')
    },
    () => Promise.reject(new Error('mine')),
    () => 7 as never,
    () => 'good',
  ]
  drawLongWaits(t)
  const it = client(t, NOWHERE, { webSocket: FakeSocket, token: () => failures.shift()?.() ?? '' })
  const room = it.room('room')
  const states: RoomStatus[] = []
  room.on('status', status => states.push(status))
  await until('a socket', () => FakeSocket.made.length === 1)
  assert.equal(failures.length, 0)
  const offline = states.filter(status => status.state === 'offline')
  assert.equal(offline.length, 3)
  for (const { retryAt, error } of offline) {
    assert.ok(retryAt !== null && Math.abs(retryAt - Date.now()) < 60_000)
    assert.equal(error?.code, 'token.failed')
  }
})

test('a token callback that never answers is an attempt that failed', async t => {
  drawLongWaits(t)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const never = (): Promise<string> => new Promise(() => undefined)
  const room = client(t, NOWHERE, { webSocket: FakeSocket, token: never }).room('room')
  await room.loaded
  for (let i = 0; i < 100 && room.status.state !== 'offline'; i += 1) {
    t.mock.timers.tick(100)
    await turn()
  }
  assert.ok(room.status.state === 'offline')
  assert.equal(room.status.error?.code, 'token.failed')
  assert.match(room.status.error.message, /no answer within 8000 ms/)
  assert.equal(FakeSocket.made.length, 0)
})

test('a socket of another protocol is not used', async t => {
  client(t, NOWHERE, { webSocket: FakeSocket }).room('room')
  await until('a socket', () => FakeSocket.made.length === 1)
  const socket = last()
  socket.onopen?.()
  assert.ok(socket.isClosed)
  assert.equal(socket.sent.length, 0)
  await until('another socket', () => FakeSocket.made.length === 2)
})

test('a connection that was never there is not said to be lost', async t => {
  drawLongWaits(t)
  const room = client(t, NOWHERE, { webSocket: FakeSocket }).room('room')
  const reasons: (string | undefined)[] = []
  room.on('status', status => {
    if (status.state === 'offline') reasons.push(status.error?.message)
  })
  for (const isOpened of [false, true]) {
    await until('a socket', () => FakeSocket.made.length === reasons.length + 1)
    if (isOpened) last().open()
    last().onclose?.()
    await turn()
  }
  assert.deepEqual(reasons, [
    'nobody answers at the relay\'s address, or takes this connection',
    'the connection was lost',
  ])
})

test('frames that are no frames end the connection and nothing else', async t => {
  const room = client(t, NOWHERE, { webSocket: FakeSocket }).room('room')
  await room.loaded
  room.doc.text('body').insert(0, 'x')
  for (const data of ['text', new ArrayBuffer(0), Uint8Array.of(255, 255, 255).buffer]) {
    const count = FakeSocket.made.length
    await until('a socket', () => FakeSocket.made.length > 0 && !last().isClosed)
    const socket = last()
    socket.open()
    socket.onmessage?.({ data })
    assert.ok(socket.isClosed)
    await until('another socket', () => FakeSocket.made.length > Math.max(count, 1))
  }
  assert.equal(room.doc.text('body').toString(), 'x')
})

test('a disposed client closes its socket and listens to it no more', async t => {
  const it = client(t, NOWHERE, { webSocket: FakeSocket })
  it.room('room')
  await until('a socket', () => FakeSocket.made.length === 1)
  it.dispose()
  assert.ok(last().isClosed)
  const { onopen, onmessage, onclose } = last()
  assert.ok((onopen ?? onmessage ?? onclose ?? null) === null)
})

test('a client disposed while it waits for a token opens no socket', async t => {
  let give: (token: string) => void = () => undefined
  const token = (): Promise<string> => new Promise(resolve => (give = resolve))
  const it = client(t, NOWHERE, { webSocket: FakeSocket, token })
  await it.room('room').loaded
  await turn()
  it.dispose()
  give('late')
  await turn()
  assert.equal(FakeSocket.made.length, 0)
})

test('a client disposed before it asks for a token does not ask any more', async t => {
  let asked = 0
  const token = (): Promise<string> => {
    asked += 1
    return new Promise(() => undefined)
  }
  const it = client(t, NOWHERE, { webSocket: FakeSocket, token })
  const room = it.room('room')
  // It is told in the turn in which the module wants to connect.
  room.on('loaded', () => {
    it.dispose()
  })
  await room.loaded
  await turn()
  assert.equal(asked, 0)
})

test('a WebSocket that cannot be made is an attempt that failed', async t => {
  let attempts = 0
  class Refusing {
    constructor() {
      attempts += 1
      throw new Error('refused')
    }

    close(): void {
      assert.fail('there is nothing to close')
    }
  }
  const room = client(t, NOWHERE, { webSocket: Refusing }).room('room')
  await until('a few attempts', () => attempts >= 2)
  assert.match(room.status.state, /offline|connecting/)
})
