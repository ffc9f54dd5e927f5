// Origins of transactions: whoever listens here is given them, and nobody else is, nor keeps them.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { ChangeSource, Doc, Undo } from 'coweave'
import * as Y from 'yjs'
import { Relay, client, needsRelay, open, tappedSocket, turn, until, untilCollected } from './world.js'
import { bind } from './yjs-world.js'

class Command {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

/** An update of a document that has nothing else. */
function updateOf(content: string): Uint8Array {
  const doc = new Y.Doc()
  doc.getText('body').insert(0, content)
  return Y.encodeStateAsUpdate(doc)
}

/** Transactions of all kinds, each with an origin. */
const transactions: Readonly<Record<string, (doc: Doc, origin: object) => void>> = {
  'an edit': (doc, origin) => {
    doc.transact(() => { doc.text('body').insert(0, 'edited ') }, origin)
  },
  'one in another': (doc, origin) => {
    doc.transact(() => {
      doc.text('body').insert(0, 'outer ')
      doc.transact(() => { doc.text('body').insert(0, 'inner ') }, origin)
      doc.applyUpdate(updateOf('brought inside '), origin)
    }, origin)
  },
  'one that throws': (doc, origin) => {
    assert.throws(() => doc.transact(() => {
      doc.text('body').insert(0, 'before ')
      throw new Error('mine')
    }, origin), /mine/)
  },
  'an update': (doc, origin) => {
    doc.applyUpdate(updateOf('brought '), origin)
  },
  'an update of version 2': (doc, origin) => {
    doc.applyUpdateV2(Y.convertUpdateFormatV1ToV2(updateOf('brought, too ')), origin)
  },
  'one that changes nothing': (doc, origin) => {
    doc.transact(() => undefined, origin)
  },
  'an update that is none': (doc, origin) => {
    assert.throws(() => { doc.applyUpdate(Uint8Array.of(1, 2, 3), origin) }, { code: 'update.malformed' })
  },
}

/** Those that nobody is told of. */
const SILENT = ['one that changes nothing', 'an update that is none']

/** Listens to all that has an origin. */
function observe(doc: Doc, told: (source: ChangeSource) => void): void {
  doc.text('body').subscribe(told)
  doc.text('body').subscribeDeep(changes => { changes.forEach(told) })
  doc.on('update', (_, info) => { told(info) })
}

test('nobody holds an origin once its transaction was told, also while that can be undone', async t => {
  const { doc } = await open(t)
  const told = new Set<string>()
  observe(doc, ({ origin }) => { told.add((origin as Command).name) })
  const undo = doc.undo({ scope: doc.text('body'), origins: [Command] })
  undo.on('added', () => undefined)
  // Not within this function, which might hold them itself.
  const refs = Object.entries(transactions).map(([name, transact]) => {
    const origin = new Command(name)
    transact(doc, origin)
    return new WeakRef(origin)
  })
  await turn()
  assert.deepEqual([...told, ...SILENT], Object.keys(transactions))
  await untilCollected('every origin', refs)
  assert.ok(undo.canUndo)
})

test('what an undo tracks, and what it remembers, is let go of with it, and it is an origin as others', async t => {
  const { doc } = await open(t)
  const refs: WeakRef<object>[] = []
  const remember = <T extends object>(it: T): T => {
    refs.push(new WeakRef(it))
    return it
  }
  const use = (): (() => void) => {
    const origin = remember(new Command('tracked'))
    const undo: Undo = remember(doc.undo({ scope: doc.text('body'), origins: [origin] }))
    undo.on('added', ({ item }) => item.meta.set('caret', remember({ caret: 1 })))
    doc.transact(() => { doc.text('body').insert(0, 'x') }, origin)
    assert.ok(undo.undo() && undo.redo())
    return () => { undo.dispose() }
  }
  let dispose: (() => void) | undefined = use()
  await turn()
  assert.equal(refs.length, 5)
  dispose()
  dispose = undefined
  await turn()
  await untilCollected('the undo, and all that it held', refs)
})

test('an origin of Yjs goes no further than its Y.Doc, and nobody holds it', async t => {
  const { doc, room } = await bind(t)
  const origins = new Set<unknown>()
  room.doc.on('update', (_, { origin }) => origins.add((origin as object).constructor.name))
  const undo = new Y.UndoManager(doc.getText('body'), { trackedOrigins: new Set([Command]) })
  const use = (): WeakRef<object> => {
    const origin = new Command('of Yjs')
    doc.transact(() => { doc.getText('body').insert(0, 'x') }, origin)
    return new WeakRef(origin)
  }
  const ref = use()
  await turn()
  await turn()
  assert.equal(room.doc.text('body').toString(), 'x')
  assert.deepEqual([...origins], ['YjsBinding'])
  assert.ok(undo.canUndo())
  await untilCollected('the origin', [ref])
})

test('others are told of no origin, and their own is theirs', needsRelay, async t => {
  const relay = await Relay.start(t)
  const secret = 'the secret of the app'
  let sent = ''
  const webSocket = tappedSocket({
    sent: frame => {
      sent += Buffer.from(frame).toString('latin1')
    },
  })
  const [ana, ben] = [client(t, relay.url, { webSocket }).room('room'), await open(t, relay.url)]
  await Promise.all([ana.synced, ben.synced])
  const [anas, bens]: [ChangeSource[], ChangeSource[]] = [[], []]
  observe(ana.doc, ({ origin, local }) => anas.push({ origin, local }))
  observe(ben.doc, ({ origin, local }) => bens.push({ origin, local }))
  const [command, mine] = [new Command(secret), { import: 'of Ben' }]
  for (const origin of [command, secret]) {
    for (const transact of Object.values(transactions)) transact(ana.doc, origin as object)
  }
  await ana.flush()
  await until('it arrives', () => ben.doc.equals(ana.doc))
  await turn()
  const remote = { origin: undefined, local: false }
  assert.deepEqual([...new Set(anas.splice(0).map(it => it.origin))], [command, secret])
  assert.ok(bens.length > 0)
  for (const source of bens.splice(0)) assert.deepEqual(source, remote)
  assert.equal(sent.includes('edited ') && !sent.includes(secret), true)

  ben.doc.applyUpdate(updateOf('imported'), mine)
  await ben.flush()
  await until('it arrives', () => ana.doc.equals(ben.doc))
  await turn()
  assert.deepEqual(bens, Array(3).fill({ origin: mine, local: true }))
  assert.ok(bens.every(({ origin }) => origin === mine))
  assert.deepEqual(anas, Array(3).fill(remote))
})
