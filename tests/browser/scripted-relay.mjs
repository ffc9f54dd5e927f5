// A relay that does what a test says: it speaks just enough of `coweave.v1` for one room, and knows roles and tokens.

import { once } from 'node:events'

import { WebSocketServer } from 'ws'
import * as Y from 'yjs'

const HELLO = 1
const WELCOME = 2
const JOIN = 3
const JOINED = 4
const LEAVE = 5
const SYNC = 6
const EDIT = 7
const ACK = 9
const REFUSED = 10
const SET_PRESENCE = 11
const ERROR = 13
const PING = 14
const PONG = 15
const FLUSH = 19
const FLUSHED = 20
const TOKEN = 21
const TOKEN_ACCEPTED = 22
const ROLE = 23
/** The connection itself. */
const CONNECTION = 0

export const EDITOR = 0
export const VIEWER = 1

export class ScriptedRelay {
  /** What is in the room. */
  doc = new Y.Doc()
  role = EDITOR
  /** How long a token counts, in milliseconds; 0 for ever. */
  tokenLifeMs = 0
  /** The code that a hello is answered with instead of a welcome. */
  denies = null
  /** The code that edits are answered with instead of taking them; 'silence' for none. */
  refuses = null
  /** The tokens of all hellos, and those that came later. */
  hellos = []
  tokens = []
  /** How old the present token was when the next one came, in milliseconds, each time. */
  tokenAges = []
  presences = []
  #server
  #members = new Map()
  #sequence = 0
  #tokenSince = 0

  static async start() {
    const relay = new ScriptedRelay()
    relay.#server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'coweave.v1' })
    relay.#server.on('connection', socket => {
      relay.#members.set(socket, new Set())
      socket.on('close', () => relay.#members.delete(socket))
      socket.on('message', frame => {
        for (const message of cut(frame)) relay.#receive(socket, message)
      })
    })
    await once(relay.#server, 'listening')
    return relay
  }

  get url() {
    return `ws://127.0.0.1:${this.#server.address().port}`
  }

  get connections() {
    return this.#members.size
  }

  close() {
    for (const socket of this.#members.keys()) socket.terminate()
    this.#server.close()
  }

  /** Tells all members what they may do from here on. */
  assign(role) {
    this.role = role
    for (const [socket, channels] of this.#members) {
      for (const channel of channels) send(socket, ROLE, channel, [role])
    }
  }

  /** Ends all connections for a reason. */
  end(code) {
    for (const socket of this.#members.keys()) this.#end(socket, code)
  }

  #end(socket, code) {
    send(socket, ERROR, CONNECTION, error(code))
    socket.close(4400)
  }

  #receive(socket, { type, channel, body }) {
    const read = new Reader(body)
    switch (type) {
      case HELLO: {
        read.var()
        read.var()
        read.take(16)
        this.hellos.push(read.text())
        this.#tokenSince = performance.now()
        if (this.denies !== null) return this.#end(socket, this.denies)
        const limits = [...varUint(8 << 20), ...varUint(7 << 20), ...varUint(60_000)]
        return send(socket, WELCOME, CONNECTION, [...varUint(1), 0, ...limits, ...text('scripted'), ...varUint(this.tokenLifeMs)])
      }
      case TOKEN:
        this.tokens.push(read.text())
        this.tokenAges.push(performance.now() - this.#tokenSince)
        this.#tokenSince = performance.now()
        return send(socket, TOKEN_ACCEPTED, CONNECTION, varUint(this.tokenLifeMs))
      case JOIN:
        return this.#join(socket, channel)
      case LEAVE:
        return this.#members.get(socket)?.delete(channel)
      case EDIT:
        return this.#edit(socket, channel, read)
      case SET_PRESENCE:
        return this.presences.push(read.text())
      case PING:
        return send(socket, PONG, CONNECTION, body)
      case FLUSH:
        return send(socket, FLUSHED, channel, body)
      default:
    }
  }

  #join(socket, channel) {
    this.#members.get(socket)?.add(channel)
    const sync = bytes(Y.encodeStateAsUpdate(this.doc))
    const place = [...new Uint8Array(16).fill(7), ...varUint(1), ...varUint(this.#sequence)]
    const state = bytes(Y.encodeStateVector(this.doc))
    send(socket, JOINED, channel, [...place, ...varUint(sync.length), ...state, this.role])
    send(socket, SYNC, channel, sync)
  }

  #edit(socket, channel, read) {
    const number = varUint(read.var())
    read.take(1)
    if (this.refuses === 'silence') return
    if (this.refuses !== null) return send(socket, REFUSED, channel, [...number, ...error(this.refuses)])
    Y.applyUpdate(this.doc, read.take(read.var()))
    this.#sequence += 1
    send(socket, ACK, channel, [...number, ...number, ...varUint(this.#sequence)])
  }
}

/** The messages of a frame. */
function* cut(frame) {
  const read = new Reader(new Uint8Array(frame))
  while (!read.isAtEnd) {
    const [type, channel] = [read.var(), read.var()]
    yield { type, channel, body: read.take(read.var()) }
  }
}

function send(socket, type, channel, body) {
  socket.send(new Uint8Array([...varUint(type), ...varUint(channel), ...bytes(body)]))
}

function varUint(number) {
  const bytes = []
  for (; number > 127; number = Math.floor(number / 128)) bytes.push(128 | number % 128)
  return [...bytes, number]
}

function bytes(content) {
  return [...varUint(content.length), ...content]
}

function text(content) {
  return bytes(new TextEncoder().encode(content))
}

function error(code) {
  return [...text(code), ...text('as the test says'), 0]
}

class Reader {
  #bytes
  #at = 0

  constructor(bytes) {
    this.#bytes = bytes
  }

  get isAtEnd() {
    return this.#at >= this.#bytes.length
  }

  take(count) {
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  var() {
    let number = 0
    for (let factor = 1; ; factor *= 128) {
      const [byte] = this.take(1)
      number += (byte & 127) * factor
      if (byte < 128) return number
    }
  }

  text() {
    return new TextDecoder().decode(this.take(this.var()))
  }
}
