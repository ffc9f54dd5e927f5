// How long things live in a browser, and how two copies of the package share a page.

import assert from 'node:assert/strict'
import test from 'node:test'
import type * as Coweave from 'coweave'
import type { CDPSession, Page } from 'playwright-core'
import { browse, needsBrowser } from './browse.js'
import { Relay, needsRelay } from './world.js'

const bothNeeded = { skip: needsBrowser.skip || needsRelay.skip }

declare global {
  var coweave: typeof Coweave
  var client: Coweave.Client
  var room: Coweave.Room
  var rooms: readonly Coweave.Room[]
}

async function load(page: Page, address: string): Promise<void> {
  await page.goto(address)
  await page.waitForFunction(() => 'coweave' in globalThis)
}

/** What is alive of a page, by what it is. */
async function census(cdp: CDPSession): Promise<Record<string, number>> {
  // Finalizers run after a collection, and let go of more.
  for (let i = 0; i < 3; i += 1) await cdp.send('HeapProfiler.collectGarbage')
  const counts: Record<string, number> = {}
  const kinds = {
    client: 'Object.getPrototypeOf(client)',
    room: 'Object.getPrototypeOf(client.room("census"))',
    socket: 'WebSocket.prototype',
    database: 'IDBDatabase.prototype',
    channel: 'BroadcastChannel.prototype',
    memory: 'WebAssembly.Memory.prototype',
    function: 'Function.prototype',
    array: 'Uint8Array.prototype',
  }
  for (const [kind, expression] of Object.entries(kinds)) {
    const { result } = await cdp.send('Runtime.evaluate', { expression, objectGroup: 'census' })
    const { objects } = await cdp.send('Runtime.queryObjects', {
      prototypeObjectId: result.objectId ?? '',
      objectGroup: 'census',
    })
    const { result: { value } } = await cdp.send('Runtime.callFunctionOn', {
      objectId: objects.objectId ?? '',
      functionDeclaration: 'function () { return this.length }',
    }) as { readonly result: { readonly value: number } }
    counts[kind] = value
    await cdp.send('Runtime.releaseObjectGroup', { objectGroup: 'census' })
  }
  const { metrics } = await cdp.send('Performance.getMetrics')
  counts['listener'] = metrics.find(({ name }) => name === 'JSEventListeners')?.value ?? 0
  return counts
}

test('a component that is mounted and unmounted 200 times leaves nothing behind', bothNeeded, async t => {
  const relay = await Relay.start(t)
  const { context, address } = await browse(t)
  const page = await context.newPage()
  await load(page, address)
  const cdp = await context.newCDPSession(page)
  await cdp.send('Performance.enable')
  const cycle = (count: number): Promise<void> => page.evaluate(async count => {
    for (let i = 0; i < count; i += 1) {
      // As StrictMode does: mounted, unmounted, and mounted again.
      globalThis.client.room('room').dispose()
      const room = globalThis.client.room('room')
      await room.loaded
      let changes = 0
      room.doc.text('body').subscribe(() => (changes += room.doc.text('body').length))
      room.presence.subscribe(() => undefined)
      room.on('status', () => changes)
      room.doc.text('body').insert(0, 'x')
      await new Promise(resolve => setTimeout(resolve))
      room.dispose()
      await new Promise(resolve => setTimeout(resolve))
      // Another client, every now and then.
      if (i % 10 > 0) continue
      const other = coweave.connect(globalThis.client.url)
      await other.room('room').loaded
      other.dispose()
    }
    await new Promise(resolve => setTimeout(resolve, 500))
  }, count)
  await page.evaluate(async relay => {
    globalThis.client = coweave.connect(relay)
    await globalThis.client.room('stays').synced
  }, relay.url)
  await cycle(20)
  const before = await census(cdp)
  await cycle(200)
  const after = await census(cdp)
  for (const [kind, count] of Object.entries(after)) {
    const was = before[kind] ?? 0
    // Compiled code and caches come and go; whatever leaks does so 200 times.
    const most = kind === 'function' || kind === 'array' ? was + 100 : was + 2
    assert.ok(count <= most, `${kind}: ${String(was)} before, ${String(count)} after`)
  }
  assert.equal(after['socket'], before['socket'])
})

test('two copies of the package on a page work side by side, on one store', bothNeeded, async t => {
  const relay = await Relay.start(t)
  const { context, address } = await browse(t)
  const page = await context.newPage()
  await load(page, address)
  const enter = (url: string): Promise<boolean> => page.evaluate(async url => {
    const other = '/copy/dist/inline.js'
    const copies = [coweave, await import(other) as typeof Coweave]
    globalThis.rooms = copies.map(copy => copy.connect(url).room('room'))
    await Promise.all(globalThis.rooms.map(room => room.loaded))
    return copies[0]?.CoweaveError !== copies[1]?.CoweaveError
  }, url)
  assert.ok(await enter(relay.url), 'they are two copies')
  await page.evaluate(async () => {
    for (let i = 0; i < 20; i += 1) {
      for (const [at, room] of globalThis.rooms.entries()) {
        room.doc.text('body').insert(0, `${String(at)}${String(i)} `)
      }
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  })
  const areEqual = (): boolean => {
    const [one, other] = globalThis.rooms.map(room => room.doc.text('body').toString())
    return one === other && one?.trim().split(' ').length === 40
  }
  await page.waitForFunction(areEqual)
  await page.waitForFunction(() => globalThis.rooms.every(room => room.saved.tier === 'durable'))
  const names = await page.evaluate(async () => {
    const databases = await indexedDB.databases()
    return databases.map(({ name }) => name)
  })
  assert.deepEqual(names, ['coweave'])
  await relay.stop()
  await load(page, address)
  await enter(relay.url)
  await page.waitForFunction(areEqual)
})
