// A relay that is only a socket object: it takes everybody in, and says what a benchmark has it say.

/** The kinds of messages of `coweave.v1` that it needs; see docs/PROTOCOL.md. */
const KIND = { hello: 1, welcome: 2, join: 3, joined: 4, sync: 6, edit: 7, update: 8, ack: 9, ping: 14, pong: 15 }

const LINEAGE = Array.from({ length: 16 }, () => 7)

/** The sockets of one client. */
export class Relay {
  #socket
  /** Who waits for a room to be joined, by its name. */
  #joining = new Map()

  /** What a client is given as its `webSocket`. */
  get webSocket() {
    const hear = (socket, bytes) => this.#hear(socket, bytes)
    return class {
      constructor(url, protocol) {
        this.protocol = protocol
        queueMicrotask(() => this.onopen?.({}))
      }

      send(bytes) {
        const copy = new Uint8Array(bytes)
        queueMicrotask(() => hear(this, copy))
      }

      close() {}
    }
  }

  /** The room of this name, as soon as the client asks for it. */
  joined(name) {
    return new Promise(resolve => this.#joining.set(name, resolve))
  }

  #hear(socket, bytes) {
    this.#socket = socket
    for (let reader = new Reader(bytes); reader.hasMore;) {
      const [kind, channel] = [reader.number(), reader.number()]
      const body = new Reader(reader.bytes())
      if (kind === KIND.hello) this.#say(KIND.welcome, 0, [1, 0, 2 ** 23, 2 ** 22, 60_000, ...text('bench'), 0].flatMap(number))
      if (kind === KIND.ping) this.#say(KIND.pong, 0, [])
      if (kind === KIND.edit) {
        const last = number(body.number())
        this.#say(KIND.ack, channel, [...last, ...last, 1])
      }
      if (kind === KIND.join) this.#join(new TextDecoder().decode(body.bytes()), channel)
    }
  }

  #join(name, channel) {
    const joined = (...numbers) => this.#say(KIND.joined, channel, [...LINEAGE, ...numbers.flatMap(number), 1, 0, 0])
    let sequence = 1
    this.#joining.get(name)?.({
      /** Lets the client in, and gives it what is in the room. */
      begin: state => {
        const length = state === undefined ? [] : number(state.length)
        joined(1, sequence, length.length + (state?.length ?? 0))
        if (state !== undefined) this.#say(KIND.sync, channel, length, state)
      },
      /** The frame that passes on what somebody else wrote, and saying it. */
      pack: update => {
        sequence += 1
        return frame(KIND.update, channel, [...number(sequence), ...number(update.length)], update)
      },
      pass: packed => this.#socket.onmessage({ data: packed }),
    })
  }

  #say(...message) {
    this.#socket.onmessage?.({ data: frame(...message) })
  }
}

/** A message is a frame of its own. */
function frame(kind, channel, head, tail = new Uint8Array()) {
  const start = [...number(kind), ...number(channel), ...number(head.length + tail.length), ...head]
  const bytes = new Uint8Array(start.length + tail.length)
  bytes.set(start)
  bytes.set(tail, start.length)
  return bytes.buffer
}

/** A number as the protocol writes it: seven bits in each byte, the lowest first. */
function number(value) {
  const bytes = []
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push(value % 0x80 | 0x80)
  return [...bytes, value]
}

/** Its bytes are below 128, as numbers that are written as themselves. */
function text(ascii) {
  return [ascii.length, ...new TextEncoder().encode(ascii)]
}

class Reader {
  #bytes
  #at = 0

  constructor(bytes) {
    this.#bytes = bytes
  }

  get hasMore() {
    return this.#at < this.#bytes.length
  }

  number() {
    let value = 0
    for (let unit = 1; ; unit *= 0x80) {
      const byte = this.#bytes[this.#at++]
      value += (byte & 0x7f) * unit
      if (byte < 0x80) return value
    }
  }

  bytes() {
    const length = this.number()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
