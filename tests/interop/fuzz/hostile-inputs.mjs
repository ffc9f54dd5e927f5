// Updates that no client writes: honest ones that were damaged, and ones whose grammar is right and whose values
// are not.

import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

import { choose, perform } from './edits.mjs'
import { ROOTS, yjs } from './sides.mjs'

const NAMES = [...Object.keys(ROOTS), 'other']
const KEYS = ['a', 'b', '']
const WORDS = ['a', 'bc', 'é日', '🙂', 'x🙂y']
const JSONS = ['null', 'true', '{"a":1}', '"x"', '1e400', '[[[]]]']
const WRONG = ['', '[', '\ud800', 'undefined']

/** A document, and honest updates on top of it. */
export function honest(random) {
  const docs = [1, 2, 3].map(client => {
    const doc = new Y.Doc()
    doc.clientID = client
    return doc
  })
  const updates = []
  for (const doc of docs) doc.on('update', (update, origin) => origin !== 'remote' && updates.push(update))
  const edit = doc => {
    for (let left = 6; left > 0; left -= 1) {
      doc.transact(() => perform(yjs, doc, choose(random, yjs, doc, { cuts: true })))
    }
  }
  const meet = () => docs.forEach(doc => docs.forEach(other => yjs.apply(doc, yjs.state(other))))
  for (let round = 0; round < 4; round += 1) {
    docs.forEach(edit)
    meet()
  }
  const base = yjs.state(docs[0])
  const ends = new Map(Y.decodeStateVector(yjs.stateVector(docs[0])))
  updates.length = 0
  docs.forEach(edit)
  return { base, ends, updates: [...updates, base, ...docs.map(doc => yjs.state(doc))] }
}

/** One of the numbers around a power of two. */
export const number = random => {
  const power = 2 ** random.below(54)
  return Math.max(0, power + random.below(3) - 1)
}

/** Bytes of the right form. */
function grammar(random, { ends }) {
  const out = encoding.createEncoder()
  const uint = value => encoding.writeVarUint(out, Math.min(value, Number.MAX_SAFE_INTEGER))
  const client = () => (random.chance(1) ? number(random) : random.of([1, 2, 3]))
  const clock = of => (random.chance(1) ? number(random) : random.below((ends.get(of) ?? 0) + (random.chance(3) ? 3 : 0)))
  const text = list => encoding.writeVarString(out, random.chance(1) ? random.of(WRONG) : random.of(list))
  const few = () => (random.chance(1) ? 0 : 1 + random.below(3))
  const id = () => {
    const of = client()
    uint(of)
    uint(clock(of))
  }
  const value = depth => {
    switch (random.below(depth > 0 ? 8 : 6)) {
      case 0:
        return encoding.writeUint8(out, random.of([127, 126, 121, 120]))
      case 1:
        return encoding.writeAny(out, random.of([1, -5, 2 ** 31, 0.5, NaN, 1e300, 10n ** 15n]))
      case 2:
        return encoding.writeAny(out, random.of(WORDS))
      case 3:
        return encoding.writeAny(out, new Uint8Array(2))
      case 4:
        encoding.writeUint8(out, 123)
        for (let at = 0; at < 8; at += 1) encoding.writeUint8(out, random.below(256))
        return undefined
      case 5:
        encoding.writeUint8(out, 125)
        return encoding.writeVarInt(out, number(random))
      default: {
        const isMap = random.chance(50)
        const count = random.below(3)
        encoding.writeUint8(out, isMap ? 118 : 117)
        uint(count)
        for (let left = count; left > 0; left -= 1) {
          if (isMap) encoding.writeVarString(out, random.of(KEYS))
          value(depth - 1)
        }
        return undefined
      }
    }
  }
  const block = () => {
    const kind = random.chance(2) ? random.below(32) : random.of([0, 1, 3, 4, 4, 4, 5, 6, 6, 7, 7, 7, 8, 8, 9])
    if (kind === 0 || kind === 10) {
      encoding.writeUint8(out, kind)
      return uint(1 + random.below(4))
    }
    const places = random.of([0, 0, 0, 0x80, 0x80, 0x40, 0xc0, 0xc0])
    const key = random.chance(25) ? 0x20 : 0
    encoding.writeUint8(out, kind | places | key)
    if (places & 0x80) id()
    if (places & 0x40) id()
    if (places === 0) {
      if (random.chance(60)) {
        uint(1)
        encoding.writeVarString(out, random.of(NAMES))
      } else {
        uint(0)
        id()
      }
      if (key !== 0) encoding.writeVarString(out, random.of(KEYS))
    }
    switch (kind) {
      case 1:
        return uint(random.chance(5) ? number(random) : 1 + random.below(6))
      case 2:
        uint(1)
        return text(JSONS)
      case 3:
        return encoding.writeVarUint8Array(out, new Uint8Array(random.below(4)))
      case 4:
        return text(WORDS)
      case 5:
        return text(JSONS)
      case 6:
        text(['bold', 'ychange', 'color'])
        return text(JSONS)
      case 7: {
        const type = random.chance(2) ? random.below(12) : random.of([0, 1, 2, 3, 4, 6])
        uint(type)
        if (type === 3 || type === 5) text(WORDS)
        return undefined
      }
      case 8: {
        const count = few()
        uint(count)
        for (let left = count; left > 0; left -= 1) value(2)
        return undefined
      }
      default:
        encoding.writeVarString(out, 'guid')
        return value(1)
    }
  }
  const writers = random.chance(2) ? [1, 1] : [1, 2, 3, 7, 9].filter(() => random.chance(30))
  uint(writers.length)
  for (const of of writers) {
    const count = 1 + random.below(4)
    uint(count)
    uint(of)
    uint(random.chance(97) ? ends.get(of) ?? 0 : clock(of))
    for (let blocks = count; blocks > 0; blocks -= 1) block()
  }
  const deleting = [1, 2, 3].filter(() => random.chance(25))
  uint(deleting.length)
  for (const of of deleting) {
    uint(of)
    const ranges = 1 + random.below(2)
    uint(ranges)
    for (let range = ranges; range > 0; range -= 1) {
      uint(clock(of))
      uint(1)
    }
  }
  return encoding.toUint8Array(out)
}

/** Bytes with a few of them changed. */
export function damaged(random, bytes) {
  const result = [...bytes]
  for (let left = 1 + random.below(5); left > 0 && result.length > 0; left -= 1) {
    const at = random.below(result.length)
    switch (random.below(5)) {
      case 0:
      case 1:
        result[at] ^= 1 << random.below(8)
        break
      case 2:
        result.splice(at, random.below(3), ...varint(number(random)))
        break
      case 3:
        result.splice(at, random.below(8))
        break
      default: {
        const from = random.below(bytes.length)
        result.splice(at, random.below(4), ...bytes.slice(from, from + random.below(12)))
      }
    }
  }
  return Uint8Array.from(result)
}

function varint(value) {
  const out = encoding.createEncoder()
  encoding.writeVarUint(out, value)
  return encoding.toUint8Array(out)
}

/** One input for whatever takes an update. */
export function hostileUpdate(random, seeds) {
  switch (random.below(10)) {
    case 0:
      return Uint8Array.from({ length: random.below(60) }, () => random.below(random.chance(50) ? 16 : 256))
    case 1: {
      const bytes = random.of(seeds.updates)
      return bytes.slice(0, random.below(bytes.length))
    }
    case 2:
    case 3:
      return damaged(random, random.of(seeds.updates))
    case 4:
      return damaged(random, grammar(random, seeds))
    default:
      return grammar(random, seeds)
  }
}

/** One for whatever takes a state vector. */
export function hostileVector(random) {
  const out = encoding.createEncoder()
  const count = random.below(5)
  encoding.writeVarUint(out, random.chance(5) ? number(random) : count)
  for (let left = count; left > 0; left -= 1) {
    encoding.writeVarUint(out, random.chance(50) ? 1 + random.below(4) : number(random))
    encoding.writeVarUint(out, random.chance(50) ? random.below(60) : number(random))
  }
  const bytes = encoding.toUint8Array(out)
  return random.chance(30) && bytes.length > 0 ? damaged(random, bytes) : bytes
}

/** Anything that somebody may say is a position, also in awareness. */
export function hostilePosition(random, honest) {
  const any = () => random.of([null, undefined, true, -1, 0.5, NaN, 2 ** 53, '1', 'text', [], {}, [1], 'ä🙂'])
  const id = () => random.of([
    { client: random.chance(20) ? number(random) : random.of([1, 2, 3, 9]), clock: random.chance(20) ? number(random) : random.below(60) },
    { client: any(), clock: any() },
    null,
    any(),
  ])
  if (random.chance(20)) return any()
  const position = random.chance(30) && honest !== undefined ? { ...honest } : { type: id(), tname: random.of([null, ...NAMES]), item: id(), assoc: random.of([0, -1]) }
  if (random.chance(30)) position[random.of(['type', 'tname', 'item', 'assoc', 'more'])] = any()
  if (random.chance(10)) delete position[random.of(Object.keys(position))]
  return position
}

/** Anything that may stand where an index should. */
export function hostileIndex(random) {
  return random.of([0, 1, 2, 3, 5, 9, 40, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, -1, 1.5, NaN, Infinity, '1', null, undefined])
}
