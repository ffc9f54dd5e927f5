// The package in a real browser: what IndexedDB keeps, for one tab and for two.

import assert from 'node:assert/strict'
import test from 'node:test'
import type * as Coweave from 'coweave'
import type { BrowserContext, Page } from 'playwright-core'
import { browse, needsBrowser } from './browse.js'
import { NOWHERE, Relay, client, needsRelay, until } from './world.js'

const bothNeeded = { skip: needsBrowser.skip || needsRelay.skip }

declare global {
  var coweave: typeof Coweave
  var client: Coweave.Client
  var room: Coweave.Room
  var lost: Coweave.CoweaveError | undefined
}

/** A tab with a loaded room. */
async function tab(context: BrowserContext, address: string, relay = NOWHERE): Promise<Page> {
  const page = await context.newPage()
  await page.goto(address)
  await enter(page, relay)
  return page
}

async function enter(page: Page, relay = NOWHERE): Promise<void> {
  await page.waitForFunction(() => 'coweave' in globalThis)
  await page.evaluate(async relay => {
    globalThis.client = coweave.connect(relay)
    globalThis.room = globalThis.client.room('notes/today')
    room.on('storage-lost', error => (globalThis.lost = error))
    await room.loaded
  }, relay)
}

const read = (page: Page): Promise<string> =>
  page.evaluate(() => room.doc.text('body').toString())

/** Types at the end, and waits until it is on the device. */
async function type(page: Page, content: string): Promise<void> {
  await page.evaluate(content => {
    const body = room.doc.text('body')
    body.insert(body.length, content)
  }, content)
  await page.waitForFunction(() => room.saved.tier !== 'memory')
}

/** How many rows the database has in all. */
const rows = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('coweave')
      request.onsuccess = () => {
        resolve(request.result)
      }
      request.onerror = reject
    })
    const stores = [...database.objectStoreNames]
    const transaction = database.transaction(stores)
    const counts = stores.map(store => transaction.objectStore(store).count())
    await new Promise(resolve => (transaction.oncomplete = resolve))
    database.close()
    return counts.reduce((sum, { result }) => sum + result, 0)
  })

test('what was typed offline is there after a reload; a mere open writes nothing', needsBrowser, async t => {
  const { context, address } = await browse(t)
  const page = await tab(context, address)
  assert.deepEqual(await page.evaluate(() => room.storage), { kind: 'device' })
  assert.equal(await rows(page), 0)
  await type(page, 'typed offline 😀')
  assert.deepEqual(await page.evaluate(() => room.saved), { tier: 'device', pending: 1 })
  const before = await rows(page)
  await page.reload()
  await enter(page)
  assert.equal(await read(page), 'typed offline 😀')
  assert.deepEqual(await page.evaluate(() => room.saved), { tier: 'device', pending: 1 })
  assert.equal(await rows(page), before)
})

test('two tabs keep what both typed', needsBrowser, async t => {
  const { context, address } = await browse(t)
  const first = await tab(context, address)
  await type(first, 'base ')
  const second = await tab(context, address)
  assert.equal(await read(second), 'base ')
  await type(first, 'first ')
  await type(second, 'second ')
  await type(first, 'first ')
  await first.close()
  await type(second, 'second ')
  await second.close()
  const third = await tab(context, address)
  const words = (await read(third)).trim().split(' ').sort()
  assert.deepEqual(words, ['base', 'first', 'first', 'second', 'second'])
})

test('a long log is folded', bothNeeded, async t => {
  const { context, address } = await browse(t)
  const relay = await Relay.start(t)
  const page = await tab(context, address, relay.url)
  const write = (): Promise<void> => page.evaluate(async () => {
    const body = room.doc.text('body')
    for (let i = 0; i < 600; i += 1) {
      body.insert(body.length, 'x')
      await Promise.resolve()
    }
    await room.flush()
  })
  await write()
  await write()
  await relay.stop()
  await page.waitForFunction(() => room.status.state === 'offline')
  // With the relay away, a tier above memory means that the device has all.
  await type(page, 'y')
  // Those that were durable at the second fold are gone.
  const count = await rows(page)
  assert.ok(count < 900, `${String(count)} rows`)
  await page.reload()
  await enter(page, relay.url)
  assert.equal((await read(page)).length, 1_201)
})

test('a store that fails is told, and work goes on in memory', needsBrowser, async t => {
  const { context, address } = await browse(t)
  const page = await tab(context, address)
  await type(page, 'kept')
  await page.evaluate(async () => {
    IDBObjectStore.prototype.put = () => {
      throw new DOMException('the disk is full', 'QuotaExceededError')
    }
    room.doc.text('body').insert(4, ' lost')
    while (globalThis.lost === undefined) await new Promise(resolve => setTimeout(resolve, 5))
  })
  const { code, message, kind } = await page.evaluate(() => ({
    code: lost?.code,
    message: lost?.message ?? '',
    kind: room.storage.kind,
  }))
  assert.deepEqual([code, kind], ['device.unavailable', 'lost'])
  assert.match(message, /QuotaExceededError: the disk is full/)
  assert.equal(await read(page), 'kept lost')
  await page.reload()
  await enter(page)
  assert.equal(await read(page), 'kept')
})

test('a browser that forbids IndexedDB still loads the room', needsBrowser, async t => {
  const { context, address } = await browse(t)
  await context.addInitScript(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException('not in this mode', 'SecurityError')
    }
  })
  const page = await tab(context, address)
  assert.equal(await page.evaluate(() => room.storage.kind), 'lost')
  await page.evaluate(() => {
    room.doc.text('body').insert(0, 'x')
  })
  assert.equal(await read(page), 'x')
})

test('a database closed behind our back is opened again', needsBrowser, async t => {
  const { context, address } = await browse(t)
  await context.addInitScript(() => {
    const transaction = IDBDatabase.prototype.transaction
    IDBDatabase.prototype.transaction = function (...given) {
      if ('breaking' in globalThis) this.close()
      Reflect.deleteProperty(globalThis, 'breaking')
      return transaction.apply(this, given)
    }
  })
  const page = await tab(context, address)
  await type(page, 'one')
  await page.evaluate(() => Object.assign(globalThis, { breaking: true }))
  await type(page, ' two')
  assert.equal(await page.evaluate(() => room.storage.kind), 'device')
  await page.reload()
  await enter(page)
  assert.equal(await read(page), 'one two')
})

test('typed while the relay is away, in a tab that was closed: the others get it', bothNeeded, async t => {
  const { context, address } = await browse(t)
  const relay = await Relay.start(t)
  const page = await tab(context, address, relay.url)
  await page.evaluate(async () => {
    room.doc.text('body').insert(0, 'one')
    await room.flush()
  })
  await relay.stop()
  await page.waitForFunction(() => room.status.state === 'offline')
  await type(page, ' two')
  await page.close()
  const again = await tab(context, address, relay.url)
  assert.equal(await read(again), 'one two')
  assert.equal(await again.evaluate(() => room.saved.pending), 1)
  await relay.start()
  await again.evaluate(() => room.flush())
  const other = client(t, relay.url).room('notes/today')
  await other.synced
  await until('the other has it', () => other.doc.text('body').toString() === 'one two')
  // What is durable is pending no more, for the next session either.
  await again.waitForFunction(() => globalThis.client.debug().rooms.every(({ isOnDevice, figures }) =>
    isOnDevice && figures?.device.writesWaiting === 0 && !figures.device.isWriting))
  await relay.stop()
  await again.reload()
  await enter(again, relay.url)
  assert.equal(await read(again), 'one two')
  assert.deepEqual(await again.evaluate(() => room.saved), { tier: 'durable', pending: 0 })
})

test('two tabs that loaded each other\'s pending edits bring each of them once', bothNeeded, async t => {
  const { context, address } = await browse(t)
  const relay = await Relay.start(t)
  await relay.stop()
  const first = await tab(context, address, relay.url)
  await type(first, 'base ')
  const second = await tab(context, address, relay.url)
  await type(first, 'first ')
  await type(second, 'second ')
  const third = await tab(context, address, relay.url)
  await type(third, 'third ')
  await first.close()
  await relay.start()
  await Promise.all([second, third].map(page => page.evaluate(() => room.flush())))
  const other = client(t, relay.url).room('notes/today')
  await other.synced
  const words = other.doc.text('body').toString().trim().split(' ').sort()
  assert.deepEqual(words, ['base', 'first', 'second', 'third'])
  const whole = other.doc.text('body').toString()
  for (const page of [second, third]) {
    await page.waitForFunction(whole => room.doc.text('body').toString() === whole, whole)
  }
})

test('a module that does not arrive at once is asked for again', needsBrowser, async t => {
  const { context, address } = await browse(t)
  await context.route('**/*.wasm', route => route.abort(), { times: 2 })
  const page = await context.newPage()
  await page.goto(address)
  await page.waitForFunction(() => 'coweave' in globalThis)
  await enter(page)
  assert.equal(await read(page), '')
})

test('a module that does not arrive is told, and may arrive later', needsBrowser, async t => {
  const { context, address } = await browse(t)
  await context.route('**/*.wasm', route => route.abort())
  const page = await context.newPage()
  await page.goto(address)
  await page.waitForFunction(() => 'coweave' in globalThis)
  const told = await page.evaluate(async () => {
    const room = coweave.connect('ws://127.0.0.1:9').room('notes/today')
    const error: unknown = await room.loaded.catch((error: unknown) => error)
    if (!(error instanceof coweave.CoweaveError)) return 'no error of ours'
    return [error.code, room.status.state].join()
  })
  assert.equal(told, 'client.load_failed,stopped')
  await context.unroute('**/*.wasm')
  await enter(page)
  assert.equal(await read(page), '')
})
