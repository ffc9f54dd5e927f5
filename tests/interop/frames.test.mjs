// The y-websocket protocol frame by frame, with a bare socket.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { after, before, it } from 'node:test'

import WebSocket from 'ws'

import { Relay } from '../harness/relay.mjs'
import { sleep, until } from '../harness/until.mjs'
import { openCoweave, openYjs, versions, Y } from './peers.mjs'

const require = createRequire(import.meta.url)
const decoding = require('lib0/decoding')
const encoding = require('lib0/encoding')

const SYNC = 0
const AWARENESS = 1
const STEP_1 = 0
const STEP_2 = 1
const UPDATE = 2
const EMPTY_STATE_VECTOR = [0]
const EMPTY_UPDATE = [0, 0]

let relay

before(async () => { relay = await Relay.start() })
after(() => relay.dispose())

/** A socket that keeps every frame it got. */
async function openSocket(t, roomName) {
  const socket = new WebSocket(`${relay.wsUrl}/${roomName}`)
  const frames = []
  socket.on('message', (data, isBinary) => frames.push(isBinary ? new Uint8Array(data) : String(data)))
  socket.on('error', () => undefined)
  const closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: String(reason) }))
  await once(socket, 'open')
  t.after(() => socket.terminate())
  return { socket, frames, closed }
}

function syncFrame(kind, bytes) {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, SYNC)
  encoding.writeVarUint(encoder, kind)
  encoding.writeVarUint8Array(encoder, Uint8Array.from(bytes))
  return encoding.toUint8Array(encoder)
}

/** Reads a frame that has to hold exactly one message. */
function readFrame(frame) {
  assert.ok(frame instanceof Uint8Array, 'only binary frames')
  const decoder = decoding.createDecoder(frame)
  const type = decoding.readVarUint(decoder)
  const kind = type === SYNC ? decoding.readVarUint(decoder) : null
  const body = decoding.readVarUint8Array(decoder)
  assert.equal(decoding.hasContent(decoder), false, `one message in the frame ${Buffer.from(frame).toString('hex')}`)
  return { type, kind, body }
}

function isStep2(frame) {
  return frame[0] === SYNC && frame[1] === STEP_2
}

it('SyncStep1 is answered with SyncStep2, also in an empty room', async t => {
  const { socket, frames } = await openSocket(t, 'frames-empty')
  socket.send(syncFrame(STEP_1, EMPTY_STATE_VECTOR))
  const frame = await until(() => frames.find(isStep2), 'SyncStep2 arrives')
  assert.deepEqual([...readFrame(frame).body], EMPTY_UPDATE)
})

it('the relay asks for what it lacks, and takes the answer', async t => {
  const doc = new Y.Doc()
  doc.getText('body').insert(0, 'brought along')
  const { socket, frames } = await openSocket(t, 'frames-brought')
  socket.send(syncFrame(STEP_1, Y.encodeStateVector(doc)))
  await until(() => frames.some(frame => frame[0] === SYNC && frame[1] === STEP_1), 'SyncStep1 of the relay arrives')
  socket.send(syncFrame(STEP_2, Y.encodeStateAsUpdate(doc)))
  const peer = await openYjs(versions[1], relay, 'frames-brought')
  t.after(() => peer.close())
  await until(() => peer.content() === 'brought along', 'another client has it')
})

it('every frame holds one message', async t => {
  const writer = await openYjs(versions[1], relay, 'frames-single')
  const sdk = await openCoweave(relay, 'frames-single')
  t.after(() => { writer.close(); sdk.close() })
  writer.awareness.setLocalState({ user: { name: 'Bo' } })
  sdk.room.presence.set({ name: 'Ana' })
  writer.text.insert(0, 'one')
  const { socket, frames } = await openSocket(t, 'frames-single')
  socket.send(syncFrame(STEP_1, EMPTY_STATE_VECTOR))
  await until(() => frames.some(isStep2), 'SyncStep2 arrives')
  // What is written at the same place at the same time may stand in any order.
  await until(() => sdk.content() === 'one', 'the SDK has the text')
  writer.text.insert(3, ' two')
  sdk.text.insert(0, 'zero ')
  const text = () => {
    const doc = new Y.Doc()
    frames.map(readFrame).filter(({ type, kind }) => type === SYNC && kind !== STEP_1).forEach(({ body }) => Y.applyUpdate(doc, body))
    return doc.getText('body').toString()
  }
  await until(() => text() === 'zero one two', () => `the frames make up the text, not “${text()}”`)
  await until(() => frames.map(readFrame).some(({ type }) => type === AWARENESS), 'presence comes with the next tick')
})

it('messages of an unknown type are ignored', async t => {
  const { socket, frames } = await openSocket(t, 'frames-unknown')
  socket.send(Uint8Array.of(77, 3, 1, 2, 3))
  socket.send(Uint8Array.of(102, 1, 0))
  socket.send(syncFrame(STEP_1, EMPTY_STATE_VECTOR))
  await until(() => frames.some(isStep2), 'the connection still answers')
})

it('hostile frames end at most their own connection', async t => {
  const peer = await openYjs(versions[1], relay, 'frames-hostile')
  t.after(() => peer.close())
  peer.text.insert(0, 'unharmed')
  const hostile = {
    'an update that is cut off': syncFrame(UPDATE, [1, 1, 5, 0, 4, 1]),
    'an update of noise': syncFrame(UPDATE, Array.from({ length: 64 }, (_, i) => (i * 197) & 255)),
    'a length beyond the frame': Uint8Array.of(SYNC, UPDATE, 255, 255, 255, 255, 15, 1),
    'a count beyond reason': syncFrame(UPDATE, [255, 255, 255, 255, 255, 255, 255, 15, 0]),
    'a state vector of noise': syncFrame(STEP_1, [9, 200, 200, 200]),
    'presence of noise': Uint8Array.of(AWARENESS, 4, 9, 9, 9, 9),
    'an unknown kind of sync': syncFrame(9, [1, 2, 3]),
    'an empty frame': new Uint8Array(),
    'a text frame': 'hello',
  }
  for (const [what, frame] of Object.entries(hostile)) {
    const { socket, closed } = await openSocket(t, 'frames-hostile')
    socket.send(frame)
    const end = await Promise.race([closed, sleep(300)])
    // To y-websocket 4400–4499 mean “never come back”; 1006 would mean that the relay fell over.
    assert.ok(end === undefined || end.code !== 1006, `${what} ended the connection with ${end?.code}`)
  }
  peer.text.insert(8, ' still')
  const fresh = await openYjs(versions[0], relay, 'frames-hostile')
  t.after(() => fresh.close())
  await until(() => fresh.content() === 'unharmed still', () => `a new client has the text, not “${fresh.content()}”`)
  assert.deepEqual(peer.connection.filter(event => event.startsWith('closed')), [])
})
