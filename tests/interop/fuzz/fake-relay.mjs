// A relay that is only a socket object: it takes everybody in, and says what a test wants it to say.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

/** The kinds of messages of `coweave.v1`. */
export const KIND = {
  hello: 1, welcome: 2, join: 3, joined: 4, leave: 5, sync: 6, edit: 7, update: 8, ack: 9, refused: 10, presence: 12,
  error: 13, ping: 14, pong: 15, durability: 16, seeded: 18, flushed: 20, tokenAccepted: 22, role: 23,
}

/** One message as a frame; `write` gives it its body. */
export function frame(kind, channel, write) {
  const body = encoding.createEncoder()
  write(body)
  const out = encoding.createEncoder()
  encoding.writeVarUint(out, kind)
  encoding.writeVarUint(out, channel)
  encoding.writeVarUint8Array(out, encoding.toUint8Array(body))
  return encoding.toUint8Array(out)
}

const welcome = frame(KIND.welcome, 0, body => {
  ;[1, 0, 2 ** 23, 2 ** 22, 60_000].forEach(number => encoding.writeVarUint(body, number))
  encoding.writeVarString(body, 'fake/1')
  encoding.writeVarUint(body, 0)
})

/** In an empty room that nobody wrote in. */
const joined = channel => frame(KIND.joined, channel, body => {
  encoding.writeUint8Array(body, new Uint8Array(16).fill(7))
  ;[1, 0, 0].forEach(number => encoding.writeVarUint(body, number))
  encoding.writeVarUint8Array(body, new Uint8Array([0]))
  encoding.writeUint8(body, 0)
})

/** The sockets of one client; the last one is in use. */
export class FakeRelay {
  /** The socket that is open. */
  socket
  /** The channels of the rooms that were joined over it, and the ids under which the client writes there. */
  channels = []
  writers = []

  /** What a client is given as its `webSocket`. */
  get webSocket() {
    const relay = this
    return class {
      onopen = null
      onmessage = null
      onclose = null
      constructor(url, protocol) {
        Object.assign(this, { url, protocol, binaryType: 'arraybuffer' })
        relay.socket = this
        relay.channels = []
        relay.writers = []
        queueMicrotask(() => this.onopen?.({}))
      }

      send(bytes) {
        queueMicrotask(() => relay.#hear(this, new Uint8Array(bytes)))
      }

      close() {
        if (relay.socket !== this) return
        relay.socket = undefined
        relay.channels = []
      }
    }
  }

  #hear(socket, bytes) {
    const reader = decoding.createDecoder(bytes)
    while (decoding.hasContent(reader)) {
      const kind = decoding.readVarUint(reader)
      const channel = decoding.readVarUint(reader)
      const body = decoding.createDecoder(decoding.readVarUint8Array(reader))
      if (kind === KIND.hello) this.say(welcome, socket)
      if (kind === KIND.join) {
        decoding.readVarString(body)
        this.channels.push(channel)
        this.writers.push(decoding.readVarUint(body))
        this.say(joined(channel), socket)
      }
    }
  }

  /** Says a frame, when there is somebody to hear it. */
  say(bytes, socket = this.socket) {
    socket?.onmessage?.({ data: bytes.slice().buffer })
  }
}
