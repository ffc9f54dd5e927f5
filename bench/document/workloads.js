// What is measured, for any library, in Node as in a browser.

import { random, word } from '../client/app/edits.js'
import { Clock } from './clock.js'

/** How many keys are typed at a place of a large document. */
const PLACE_KEYS = 2_000
const SMALL_EDITS = 6_000
const MAP_KEYS = 100
const MAPS = 1_000
const WRITERS = 1_540
const PARAGRAPHS = 3_000
const COPIES = 10

/**
 * Each workload gives rows `{ key: number }`. `context` has the `library`, the `history`, its `state`
 * in the library's own format and in halves, the `environment`, and how long one measurement may take.
 */
export const workloads = {
  history, sizes, places, remote, observer, small, types, read, two, many, load, tree, memory,
}

/** Lets the library do what it does when the code of the app is done. */
async function turn(document) {
  if (document.isDeferred) await null
}

function edit(document, [index, removed, inserted]) {
  if (removed > 0) document.remove(index, removed)
  if (inserted !== '') document.insert(index, inserted)
}

/** The whole history, key by key, each with its update encoded. */
async function history({ library, history, environment, limit }) {
  const document = await library.open()
  const clock = new Clock(environment, limit)
  let keys = 0
  clock.start()
  for (const patch of history.patches) {
    edit(document, patch)
    await turn(document)
    document.takeUpdate?.()
    keys += 1
    if (keys % 100 === 0 && clock.isOver) break
  }
  const spent = clock.stop()
  const isWhole = keys === history.patches.length
  if (isWhole && document.read() !== history.text) throw new Error(`${library.title} has another text`)
  document.dispose()
  return { perKey: spent / keys, ...isWhole || { perKey_part: keys / history.patches.length } }
}

/** The same history, for what there is to send and to keep: updates as an app gets them, and a mark of the version. */
async function sizes({ library, history, environment, limit }) {
  let document = await library.open()
  // In the format of Yjs most ids take five bytes, and one in sixteen takes less, again and again.
  while (document.clientId?.() < 2 ** 28) document = await library.open()
  document.giveUpdates?.()
  const patience = new Clock(environment, limit)
  let keys = 0
  let bytes = 0
  for (const patch of history.patches) {
    edit(document, patch)
    await turn(document)
    // It is told with the news of a turn, and those are over then.
    await turn(document)
    bytes += document.takeUpdate().length
    keys += 1
    if (keys % 100 === 0 && patience.isOver) break
  }
  const snapshot = document.snapshot().length
  document.dispose()
  const part = keys / history.patches.length
  return { perUpdate: bytes / keys, snapshot, ...part === 1 || { perUpdate_part: part, snapshot_part: part } }
}

/** A document with the state of the history in it; it can be a `live` one, where there is a relay. */
async function openLarge({ library, state, history }, open = library.open) {
  const document = await open()
  if (library.can.includes('load')) document.apply(state)
  else for (let at = 0; at < history.patches.length; at += 1_000) {
    document.together(transaction => {
      for (const [index, removed, inserted] of history.patches.slice(at, at + 1_000)) {
        if (removed > 0) document.remove(index, removed, transaction)
        if (inserted !== '') document.insert(index, inserted, transaction)
      }
    })
    await turn(document)
  }
  if (document.length() !== history.text.length) throw new Error(`${library.title} has another length`)
  return document
}

/** Keys at places of a large document: medians, and what one in a hundred takes. */
async function places(context) {
  const document = await openLarge(context)
  const { length } = context.history.text
  const pick = random(7)
  const rows = {}
  const at = {
    start: key => [key, 0, 'x'],
    middle: key => [(length >> 1) + key, 0, 'x'],
    end: () => [document.length(), 0, 'x'],
    anywhere: () => [pick(document.length()), 0, 'x'],
    backspace: key => [(length >> 1) + PLACE_KEYS - 1 - key, 1, ''],
  }
  for (const [place, patch] of Object.entries(at)) {
    const clock = new Clock(context.environment, context.limit / 4)
    const times = await clock.each(PLACE_KEYS, key => patch(key), async patch => {
      edit(document, patch)
      await turn(document)
      document.takeUpdate?.()
    })
    rows[`${place}_p50`] = times.quantile(0.5)
    rows[`${place}_p99`] = times.quantile(0.99)
  }
  document.dispose()
  return rows
}

/** Keys of somebody else in the middle of a large document. */
async function remote(context) {
  const { library, environment, limit } = context
  if (!library.can.includes('apply')) return {}
  const there = await openLarge(context)
  const middle = context.history.text.length >> 1
  const updates = []
  there.giveUpdates?.()
  const patience = new Clock(environment, limit / 2)
  for (let key = 0; key < PLACE_KEYS / 2 && !patience.isOver; key += 1) {
    there.insert(middle + key, 'x')
    await turn(there)
    updates.push(there.takeUpdate())
  }
  there.dispose()
  const measure = async (document, received, receive) => {
    const clock = new Clock(environment, limit / 2)
    const times = await clock.each(received.length, key => received[key], async one => {
      receive(one)
      await turn(document)
    })
    document.dispose()
    return times
  }
  const here = await openLarge(context, library.openLive)
  const isLive = here.receive !== undefined
  const times = isLive
    ? await measure(here, updates.map(here.pack), here.receive)
    : await measure(here, updates, here.apply)
  const brought = isLive ? await openLarge(context).then(other => measure(other, updates, other.apply)) : times
  return {
    p50: times.quantile(0.5),
    p99: times.quantile(0.99),
    brought_p50: brought.quantile(0.5),
    brought_p99: brought.quantile(0.99),
  }
}

/** Keys at the end of a large document while somebody reads each change. */
async function observer(context) {
  if (!context.library.can.includes('observe')) return {}
  const document = await openLarge(context)
  let steps = 0
  document.observe(delta => {
    steps += delta.length
  })
  await turn(document)
  const clock = new Clock(context.environment, context.limit / 2)
  const times = await clock.each(PLACE_KEYS / 4, () => document.length(), async index => {
    document.insert(index, 'x')
    await turn(document)
    await turn(document)
  })
  if (steps < times.count * 2) throw new Error(`${context.library.title} told ${steps} steps of ${times.count} keys`)
  document.dispose()
  return { p50: times.quantile(0.5), p99: times.quantile(0.99) }
}

/** Edits of text. */
function small(context) {
  return editEmpty(context, {
    append: (document, key) => document.insert(key, 'x'),
    insertAnywhere: (document, key, pick) => document.insert(pick(key + 1), 'x'),
    insertWord: (document, key, pick) => {
      const inserted = word(pick)
      document.insert(pick(document.length() + 1), inserted)
    },
    removeAnywhere: (document, key, pick) => {
      const length = document.length()
      if (pick(2) === 0 || length < 10) document.insert(pick(length + 1), word(pick))
      else document.remove(pick(length - 5), 1 + pick(5))
    },
  })
}

/** Edits of a map, of an array, and of maps that stand in it. */
function types(context) {
  return editEmpty(context, {
    set: (document, key, pick) => document.set(`key ${pick(MAP_KEYS)}`, key),
    push: (document, key) => document.push(key),
    insertEntry: (document, key, pick) => document.insertEntry(pick(key + 1), key),
    removeEntry: (document, key, pick) => {
      const count = document.count()
      if (pick(2) === 0 || count < 10) document.insertEntry(pick(count + 1), key)
      else document.removeEntry(pick(count))
    },
    nest: (document, key, pick) => document.nest(pick(key + 1), entriesOf(key)),
    setNested: (document, key, pick) => {
      if (key < MAP_KEYS) document.nest(key, entriesOf(key))
      else document.setNested(pick(MAP_KEYS), 'done', key)
    },
  })
}

/** What a map in an array holds. */
function entriesOf(key) {
  return { title: `entry ${key}`, done: 0 }
}

/** Six thousand edits of each kind, in an empty document. */
async function editEmpty(context, kinds) {
  const rows = {}
  for (const [kind, make] of Object.entries(kinds)) {
    const document = await context.library.open()
    const pick = random(3)
    const clock = new Clock(context.environment, context.limit / 4)
    clock.start()
    let key = 0
    for (; key < SMALL_EDITS && !(key % 100 === 0 && clock.isOver); key += 1) {
      make(document, key, pick)
      await turn(document)
      document.takeUpdate?.()
    }
    rows[kind] = clock.stop() / key
    document.dispose()
  }
  return rows
}

/** A map and an array of maps are read: entry by entry, and all at once. */
async function read({ library, environment, limit }) {
  const document = await library.open()
  for (let key = 0; key < MAP_KEYS; key += 1) document.set(`key ${key}`, key)
  for (let key = 0; key < MAPS; key += 1) {
    document.nest(key, entriesOf(key))
    await turn(document)
  }
  const kinds = {
    get: at => document.get(`key ${at % MAP_KEYS}`) === at % MAP_KEYS,
    getNested: at => document.getNested(at, 'title') === `entry ${at}`,
  }
  const rows = {}
  const pick = random(5)
  for (const [kind, isRight] of Object.entries(kinds)) {
    const clock = new Clock(environment, limit / 4)
    let wrong = 0
    let count = 0
    clock.start()
    for (; count < SMALL_EDITS && !(count % 100 === 0 && clock.isOver); count += 1) {
      if (!isRight(pick(MAPS))) wrong += 1
    }
    rows[kind] = clock.stop() / count
    if (wrong > 0) throw new Error(`${library.title} read ${wrong} wrong entries`)
  }
  const clock = new Clock(environment, limit)
  clock.start()
  const { map, array } = document.toJson()
  rows.toJson = clock.stop() / 1_000
  if (Object.keys(map).length !== MAP_KEYS || array[MAPS - 1]?.title !== `entry ${MAPS - 1}`) {
    throw new Error(`${library.title} shows something else as JSON`)
  }
  document.dispose()
  return rows
}

/** Two people write at the same time; then one reads the other's updates. */
async function two(context) {
  if (!context.library.can.includes('apply')) return {}
  const [one, other] = [await context.library.open(), await context.library.open()]
  const updates = []
  other.giveUpdates?.()
  for (const [document, seed] of [[one, 1], [other, 2]]) {
    const pick = random(seed)
    const patience = new Clock(context.environment, context.limit / 2)
    for (let key = 0; key < SMALL_EDITS && !patience.isOver; key += 1) {
      document.insert(pick(key + 1), 'x')
      await turn(document)
      if (document === other) updates.push(document.takeUpdate())
    }
  }
  const perUpdate = await applyEach(one, updates, SMALL_EDITS, context)
  one.dispose()
  other.dispose()
  return perUpdate
}

/** Many people write at the same time at the same place. */
async function many(context) {
  if (!context.library.can.includes('apply')) return {}
  const updates = []
  const patience = new Clock(context.environment, context.limit / 2)
  for (let writer = 0; writer < WRITERS && !patience.isOver; writer += 1) {
    const document = await (context.library.openLive ?? context.library.open)()
    // A room whose edits are nowhere else stays until they are.
    if (document.receive !== undefined) document.apply()
    document.giveUpdates?.()
    document.insert(0, `${writer} was here`)
    await turn(document)
    updates.push(document.takeUpdate())
    document.dispose()
  }
  const document = await context.library.open()
  const perUpdate = await applyEach(document, updates, WRITERS, context)
  document.dispose()
  return perUpdate
}

/** Applies one update after the other: all that there should be, or as many as its patience allows. */
async function applyEach(document, updates, most, { environment, limit }) {
  const clock = new Clock(environment, limit)
  clock.start()
  let count = 0
  for (const update of updates) {
    document.apply(update)
    await turn(document)
    count += 1
    if (clock.isOver) break
  }
  const isWhole = count === most
  return { perUpdate: clock.stop() / count, ...isWhole || { perUpdate_part: count / most } }
}

/** A large document from its bytes and to its bytes. */
async function load({ library, history, state, half, environment, limit }) {
  if (!library.can.includes('load')) return {}
  const document = await (library.openLive ?? library.open)()
  const clock = new Clock(environment, limit)
  const spent = async work => {
    clock.start()
    await work()
    return clock.stop() / 1_000
  }
  const rows = {
    load: await spent(async () => {
      document.apply(state)
      await turn(document)
      document.length()
    }),
    read: await spent(() => document.read()),
    encode: await spent(() => document.encode()),
  }
  document.dispose()
  const other = await library.open()
  other.apply(half.state)
  await turn(other)
  rows.difference = await spent(async () => {
    other.apply(half.difference)
    await turn(other)
  })
  if (other.length() !== history.text.length) throw new Error(`${library.title} has another length`)
  other.dispose()
  return { ...rows, bytes: state.length / 1_000 }
}

/** A tree of paragraphs as plain JSON. */
async function tree({ library, paragraphs, environment, limit }) {
  if (!library.can.includes('xml')) return {}
  const document = await library.open()
  document.apply(paragraphs)
  await turn(document)
  const clock = new Clock(environment, limit)
  clock.start()
  const json = document.treeToJson()
  const spent = clock.stop() / 1_000
  if (json.length !== PARAGRAPHS) throw new Error(`${library.title} shows ${json.length} paragraphs`)
  document.dispose()
  return { toJson: spent }
}

/** What a loaded large document takes. */
async function memory(context) {
  const { environment, limit } = context
  if (!context.library.can.includes('load')) return {}
  const { openLive } = context.library
  const first = await openLarge(context, openLive)
  const before = await environment.bytesInUse()
  const documents = []
  const patience = new Clock(environment, limit)
  while (documents.length < COPIES && !patience.isOver) documents.push(await openLarge(context, openLive))
  const after = await environment.bytesInUse()
  for (const document of [first, ...documents]) document.dispose()
  return { perDocument: (after - before) / documents.length / 1_000_000 }
}
