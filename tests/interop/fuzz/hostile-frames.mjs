// Frames that no relay sends: honest ones that were damaged, and ones of the right form with values that are not right.

import * as encoding from 'lib0/encoding'

import { KIND, frame } from './fake-relay.mjs'
import { damaged, hostileUpdate, number } from './hostile-inputs.mjs'

const STATES = ['null', '{}', '{"user":{"name":"🙂"}}', '{"user":1}', '[]', '"x"', '{"a":{"b":[1,null]}}']
const WRONG = ['', '{', 'undefined', '"\ud800"', `${'['.repeat(200)}${']'.repeat(200)}`, `"${'x'.repeat(20_000)}"`]
const CODES = ['room.full', 'update.malformed', 'update.too_deep', 'relay.degraded', 'no.such', '']

/** What somebody is said to show. */
function presence(random, writers) {
  const out = encoding.createEncoder()
  const count = random.below(4)
  encoding.writeVarUint(out, random.chance(1) ? number(random) : count)
  for (let left = count; left > 0; left -= 1) {
    encoding.writeVarUint(out, random.chance(10) ? number(random) : random.of([1, 2, 3, ...writers]))
    encoding.writeVarUint(out, random.chance(20) ? number(random) : random.below(5))
    encoding.writeVarString(out, random.of(random.chance(2) ? WRONG : STATES))
  }
  const bytes = encoding.toUint8Array(out)
  return random.chance(5) && bytes.length > 0 ? damaged(random, bytes) : bytes
}

/** One frame for a client of such a relay. */
export function hostileFrame(random, seeds, { channels, writers }) {
  const channel = random.chance(2) ? random.below(9) : random.of(channels)
  const uint = body => encoding.writeVarUint(body, random.chance(30) ? number(random) : random.below(5))
  const error = body => {
    encoding.writeVarString(body, random.of(CODES))
    encoding.writeVarString(body, 'why')
    encoding.writeUint8(body, random.below(3))
    if (random.chance(50)) uint(body)
  }
  const kinds = Object.values(KIND)
  // What tells of people mostly: a membership that ends has to be made anew.
  const kind = random.chance(80) ? KIND.presence : random.chance(3) ? random.below(99) : random.of(kinds)
  const bytes = frame(kind, channel, body => {
    switch (kind) {
      case KIND.presence:
        return encoding.writeUint8Array(body, presence(random, writers))
      case KIND.update:
        uint(body)
        return encoding.writeVarUint8Array(body, hostileUpdate(random, seeds))
      case KIND.sync:
        return encoding.writeUint8Array(body, hostileUpdate(random, seeds))
      case KIND.refused:
        uint(body)
        return error(body)
      case KIND.error:
        return error(body)
      case KIND.durability:
      case KIND.seeded:
        encoding.writeUint8(body, random.below(3))
        return random.chance(50) ? error(body) : undefined
      default:
        for (let left = random.below(4); left > 0; left -= 1) uint(body)
        return undefined
    }
  })
  return random.chance(3) ? damaged(random, bytes) : bytes
}
