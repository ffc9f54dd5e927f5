// Typing beside Yjs: the same keys give the same bytes, and the same text.

import assert from 'node:assert/strict'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Room, Undo } from 'coweave'
import * as Y from 'yjs'
import { open, turn } from './world.js'

const HISTORIES = Number(process.env['COWEAVE_HISTORIES'] ?? 40)
const KEYS = 150
/** Keys are undone together until it is stopped. */
const CAPTURE_MS = 1_000_000
const CHARACTERS = [...'abcdeé中😀']

/** Whole numbers below a bound, always the same ones (mulberry32). */
function random(seed: number): (bound: number) => number {
  let state = seed
  return bound => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296 * bound)
  }
}

/**
 * What an update brings back and deletes, whatever the order: a room brings back what several people wrote by
 * their ids, and Yjs in the order in which it was deleted.
 */
function pieces(update: Uint8Array): unknown {
  const { structs, ds } = Y.decodeUpdate(update)
  const texts = structs.map(it => (it instanceof Y.Item && it.content instanceof Y.ContentString ? it.content.str : it.length))
  return [[...texts.join('')].sort(), ds]
}

/** How many steps of undo and redo there were, and how many of them were written in the same bytes. */
const steps = { all: 0, same: 0 }

/** A room, and Yjs under the same client id. */
class Pair {
  readonly other = new Y.Doc()
  readonly pick: (bound: number) => number
  readonly #room: Room
  readonly #undo: Undo
  /** Whether others cut characters in two. */
  readonly #cuts: boolean
  #client = 0
  #same = new Y.Doc()
  #theirUndo = new Y.UndoManager(this.#same.getText('body'))
  #ours: Uint8Array[] = []
  #theirs: Uint8Array[] = []
  #caret = 0

  constructor(room: Room, seed: number) {
    this.#room = room
    this.pick = random(seed)
    this.#cuts = seed % 3 === 0
    this.#undo = room.doc.undo({ scope: room.doc.text('body'), captureTimeout: CAPTURE_MS })
    room.doc.on('update', (update, { local, origin }) => {
      if (local && origin !== this) this.#ours.push(update)
    })
  }

  async begin(): Promise<void> {
    this.#room.doc.text('body').insert(0, 'x')
    await turn()
    const { structs } = Y.decodeUpdate(this.#room.doc.encodeState())
    this.#client = structs[0]?.id.client ?? 0
    this.#follow()
  }

  /** Yjs takes over what the room has, and the client id that it writes under. */
  #follow(): void {
    this.#same = new Y.Doc()
    Y.applyUpdate(this.#same, this.#room.doc.encodeState())
    this.#same.clientID = this.#client
    this.#same.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.#theirs.push(update)
    })
    this.#theirUndo = new Y.UndoManager(this.#same.getText('body'), { captureTimeout: CAPTURE_MS })
    this.#undo.clear()
    this.#ours = []
    this.#theirs = []
  }

  /** The places between characters. */
  #ends(text: string): number[] {
    const ends = [0]
    for (const character of text) ends.push((ends.at(-1) ?? 0) + character.length)
    return ends
  }

  #content(): string {
    const count = this.pick(8) === 0 ? 1 + this.pick(10) : 1
    return Array.from({ length: count }, () => CHARACTERS[this.pick(CHARACTERS.length)]).join('')
  }

  async edit(): Promise<void> {
    const [ours, theirs] = [this.#room.doc.text('body'), this.#same.getText('body')]
    const ends = this.#ends(ours.toString())
    const jump = this.pick(ends.length)
    const near = ends.findIndex(end => end >= this.#caret)
    const at = this.pick(8) === 0 || near < 0 ? jump : near
    const count = this.pick(6) === 0 ? 1 + this.pick(6) : 1
    const [before, caret, behind] = [at - count, at, at + count].map(end => (
      ends[Math.min(Math.max(end, 0), ends.length - 1)] ?? 0
    )) as [number, number, number]
    if (this.pick(12) === 0) {
      this.#undo.stop()
      this.#theirUndo.stopCapturing()
    }
    const choice = this.pick(10)
    if (choice < 6) {
      const content = this.#content()
      ours.insert(caret, content)
      theirs.insert(caret, content)
      this.#caret = caret + content.length
    } else {
      const [start, end] = choice < 9 ? [before, caret] : [caret, behind]
      ours.delete(start, end - start)
      if (end > start) theirs.delete(start, end - start)
      this.#caret = start
    }
    await turn()
    assert.deepEqual(this.#ours, this.#theirs)
  }

  /** Takes some of it back, and makes it again, perhaps. */
  async takeBack(): Promise<void> {
    for (let left = 1 + this.pick(4); left > 0; left -= 1) {
      const what = this.pick(3) === 0 ? 'redo' : 'undo'
      this.#undo[what]()
      this.#theirUndo[what]()
      await turn()
      this.check()
      assert.deepEqual(this.#ours.map(pieces), this.#theirs.map(pieces))
      steps.all += 1
      if (!isDeepStrictEqual(this.#ours, this.#theirs)) break
      steps.same += 1
    }
    // What came back and was cut since is taken back in parts by Yjs, see undo-yjs.test.ts: from here on all is new.
    this.#follow()
  }

  /** Somebody else writes, who may not know the last edits. */
  async hear(): Promise<void> {
    if (this.pick(2) === 0) Y.applyUpdate(this.other, Y.encodeStateAsUpdate(this.#same))
    const known = Y.encodeStateVector(this.other)
    const text = this.other.getText('body')
    const ends = this.#ends(text.toString())
    const at = this.pick(ends.length)
    const [start = 0, end = 0] = [ends[at], ends[Math.min(at + 3, ends.length - 1)]].map(border => (
      this.#cuts ? Math.max((border ?? 0) - 1, 0) : border ?? 0
    ))
    if (this.pick(3) === 0) text.delete(start, end - start)
    else text.insert(start, this.#content())
    const update = Y.encodeStateAsUpdate(this.other, known)
    this.#room.doc.applyUpdate(update, this)
    Y.applyUpdate(this.#same, update, this)
    await turn()
  }

  check(): void {
    assert.equal(this.#room.doc.text('body').toString(), this.#same.getText('body').toJSON())
    const again = new Y.Doc()
    Y.applyUpdate(again, this.#room.doc.encodeState())
    assert.equal(again.getText('body').toJSON(), this.#same.getText('body').toJSON())
    assert.deepEqual(Y.encodeStateVector(again), Y.encodeStateVector(this.#same))
  }
}

test('keys are written in the same bytes as by Yjs, whatever others write in between', async t => {
  for (let seed = 0; seed < HISTORIES; seed += 1) {
    const room = await open(t, undefined, `room ${String(seed)}`)
    const pair = new Pair(room, seed)
    await pair.begin()
    for (let key = 0; key < KEYS; key += 1) {
      const choice = pair.pick(25)
      if (choice === 0) await pair.hear()
      else if (choice === 1) await pair.takeBack()
      else await pair.edit()
    }
    pair.check()
    room.dispose()
  }
  assert.ok(steps.same > steps.all * 0.8, 'hardly any step of undo or redo has other bytes')
  t.diagnostic(`${String(steps.same)} of ${String(steps.all)} steps of undo and redo in the same bytes`)
})
