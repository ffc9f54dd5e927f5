// The people of a history: with Yjs, and with the package, where each step is compared with Yjs.

import assert from 'node:assert/strict'

import * as Y from 'yjs'

import { reasons, reasonsOfAll } from './bytes.mjs'
import { canon, delta, view } from './compare.mjs'
import { choose, perform } from './edits.mjs'
import { Mirror } from './mirror.mjs'
import { ROOTS, coweave, turn, yjs } from './sides.mjs'

/** One person's copy. */
class Peer {
  /** How many updates of each peer are in the document. */
  known
  /** Updates that others lack. */
  made = []

  constructor(side, doc, peers) {
    Object.assign(this, { side, doc })
    this.known = Array(peers).fill(0)
  }

  view() {
    return view(this.side, this.doc)
  }
}

export class YjsPeer extends Peer {
  constructor(random, peers, at) {
    const doc = new Y.Doc()
    super(yjs, doc, peers)
    const id = random.of([1, random.below(2 ** 28), 2 ** 45 + random.below(2 ** 20)])
    doc.clientID = id * 8 + at
    Object.keys(ROOTS).forEach(name => yjs.root(doc, name))
    // What Yjs tidies up after an update of others is an edit of its own.
    doc.on('update', (update, origin) => {
      if (origin !== 'remote') this.made.push(update)
    })
  }

  async receive(update) {
    yjs.apply(this.doc, update)
  }

  async edit(random, count, options) {
    this.doc.transact(() => {
      for (let edits = count; edits > 0; edits -= 1) perform(yjs, this.doc, choose(random, yjs, this.doc, options))
    })
  }

  dispose() {
    this.doc.destroy()
  }
}

/** What is deleted in a state. */
function deletions(state) {
  const { clients } = Y.decodeUpdate(state).ds
  const ranges = [...clients].sort(([a], [b]) => a - b).map(([client, deleted]) => {
    const joined = []
    for (const { clock, len } of deleted.toSorted((a, b) => a.clock - b.clock)) {
      const last = joined.at(-1)
      if (last?.end === clock) last.end += len
      else joined.push({ clock, end: clock + len })
    }
    return `${client}: ${joined.map(({ clock, end }) => `${clock}-${end}`).join(' ')}`
  })
  return ranges.join('; ')
}

/** A document of Yjs with the same structs as a room's: it says what Yjs would write. */
class Twin {
  updates = []

  constructor(client, state) {
    this.doc = new Y.Doc()
    Object.keys(ROOTS).forEach(name => yjs.root(this.doc, name))
    // It would be another document if it tidied up after others, from whom the state is, too.
    this.doc.on('afterTransaction', transaction => {
      transaction._needFormattingCleanup = false
    })
    Y.applyUpdate(this.doc, state)
    // Earlier, Yjs would take it for that of somebody else.
    this.doc.clientID = client
    this.doc.on('update', update => this.updates.push(update))
  }

  receive(update) {
    yjs.apply(this.doc, update)
  }

  /** Makes edits; tells why the package may write them in other bytes. */
  edit(edits) {
    return this.doc.transact(() => edits.flatMap(edit => {
      const why = reasons(this.doc, edit)
      perform(yjs, this.doc, edit)
      return why
    }))
  }
}

/** One that is listened to: it says what Yjs would tell. */
class ListenedTwin extends Twin {
  /** The events of the last transaction, by the part that is observed. */
  events = []

  constructor(client, state) {
    super(client, state)
    for (const name of Object.keys(ROOTS)) {
      yjs.root(this.doc, name).observeDeep(events => {
        this.events.push({ name, changes: events.map(event => this.#told(event)) })
      })
    }
  }

  #told(event) {
    const keys = [...event.changes.keys].map(([key, { action, oldValue }]) => {
      const before = action === 'add' ? undefined : oldValue
      const after = action === 'delete' ? undefined : yjs.entries(event.target)[key]
      return [key, action, brief(yjs, before), canon(yjs, after)]
    })
    const steps = event instanceof Y.YTextEvent ? event.delta : event.changes.delta
    return told(yjs, event.path, steps, keys)
  }
}

/** A value that is gone has nothing inside any more. */
function brief(side, value) {
  return side.kind(value) ?? canon(side, value)
}

function told(side, path, steps, keys) {
  const plain = steps.map(({ attributes, ...step }) => (step.retain === undefined ? { ...step, attributes } : step))
  return { path: path.join('/'), delta: delta(side, steps), plain: delta(side, plain), keys: keys.map(String).sort() }
}

/**
 * What was told, in an order of our own; Yjs also tells of changes that came to nothing. `delta` names the exact
 * one, or `plain`, the one without formats that something has now: Yjs and yrs both tell of some that were there
 * before, and not of the same ones. That a room tells enough is seen by the mirror.
 */
function sorted(groups, delta) {
  const text = ({ path, keys, ...deltas }) => JSON.stringify([path, deltas[delta], keys])
  return groups
    .flatMap(({ name, changes }) => changes.map(change => [name, change]))
    .filter(([, change]) => change[delta] !== '[]' || change.keys.length > 0)
    .map(([name, change]) => `${name} ${text(change)}`)
    .sort()
}

export class RoomPeer extends Peer {
  #twin
  #listened
  #own

  constructor(room, peers, tally, cuts) {
    super(coweave, room.doc, peers)
    Object.assign(this, { room, tally, cuts })
    this.mirror = new Mirror(room.doc)
    this.#own = []
    room.doc.on('update', (update, { origin, local }) => {
      assert.ok(local)
      if (origin !== 'remote') this.#own.push(update)
    })
  }

  /** The id under which the room writes; only an edit shows it. */
  async start() {
    this.doc.text('start').insert(0, '-')
    await turn()
    const [client] = [...Y.decodeStateVector(this.doc.encodeStateVector()).keys()]
    this.made.push(...this.#own.splice(0))
    this.mirror.heard = []
    this.#begin(client)
  }

  #begin(client) {
    this.#twin = new Twin(client, this.doc.encodeState())
    this.#listened = new ListenedTwin(client, this.doc.encodeState())
  }

  async receive(update) {
    coweave.apply(this.doc, update)
    this.#twin.receive(update)
    this.#listened.receive(update)
    await turn()
    assert.equal(this.#own.length, 0)
    this.#compare('an update of others')
    assert.equal(deletions(this.doc.encodeState()), deletions(Y.encodeStateAsUpdate(this.#twin.doc)), 'what is deleted')
  }

  async edit(random, count, options) {
    const edits = []
    this.doc.transact(() => {
      for (let left = count; left > 0; left -= 1) {
        const edit = choose(random, coweave, this.doc, options)
        perform(coweave, this.doc, edit)
        edits.push(edit)
      }
    }, 'mine')
    await turn()
    const why = this.#twin.edit(edits)
    this.#listened.edit(edits)
    const all = this.#own.splice(0)
    const own = all.length > 1 ? Y.mergeUpdates(all) : all[0]
    const [twins] = this.#twin.updates
    const name = edits.length === 1 ? edits[0].op : 'several edits'
    this.tally.update(name, own, twins, [...why, ...reasonsOfAll(edits, twins)])
    // Where the same edit is written in another way, it has to mean the same.
    const isSame = Buffer.compare(own ?? new Uint8Array(), twins ?? new Uint8Array()) === 0
    this.#compare(name, isSame ? {} : { vector: '' })
    if (own !== undefined) this.made.push(own)
    if (!isSame) this.#begin(this.#twin.doc.clientID)
  }

  #compare(what, except = {}) {
    this.mirror.check()
    const ours = this.mirror.heard.splice(0).map(({ name, changes }) => ({
      name,
      changes: changes.map(change => {
        const keys = [...change.keys].map(([key, { action, before, after }]) => {
          return [key, action, brief(coweave, before), canon(coweave, after)]
        })
        return told(coweave, change.path, change.delta, keys)
      }),
    }))
    const theirs = this.#listened.events.splice(0)
    // What becomes of a character that is cut is told in a room only: see the divergences.
    const isComparable = !this.cuts && this.#listened.updates.length <= 1
    if (isComparable) assert.deepEqual(sorted(ours, 'plain'), sorted(theirs, 'plain'), `what is told of ${what}`)
    this.tally.told(JSON.stringify(sorted(ours, 'delta')) === JSON.stringify(sorted(theirs, 'delta')))
    // Asked for a delta, Yjs deletes formats that say nothing, which is an edit.
    if (this.#listened.updates.length > 1) {
      this.#listened = new ListenedTwin(this.#twin.doc.clientID, Y.encodeStateAsUpdate(this.#twin.doc))
    }
    this.#twin.updates = []
    this.#listened.updates = []
    assert.deepEqual({ ...this.view(), ...except }, { ...view(yjs, this.#twin.doc), ...except }, `a room after ${what}`)
  }

  dispose() {
    this.room.dispose()
  }
}
