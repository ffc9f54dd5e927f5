// A trapped instance in a browser, where rooms are kept on the device.

import assert from 'node:assert/strict'
import test from 'node:test'
import type * as Coweave from 'coweave'
import type { Page } from 'playwright-core'
import { browse, needsBrowser } from './browse.js'
import { NOWHERE, Relay, client, needsRelay, until } from './world.js'

const bothNeeded = { skip: needsBrowser.skip || needsRelay.skip }

declare global {
  var coweave: typeof Coweave
  var client: Coweave.Client
  var room: Coweave.Room
  /** The import of the module that is the next one to trap, by a part of its name. */
  var trapInside: string | undefined
  /** Makes every instance trap that has opened a room which the app has not. */
  var trapCarrying: boolean | undefined
  var restarts: number
  var listenersToNetwork: number
}

/** Makes the instances of a page trap in the middle of their work, when the test says so. */
function setTraps(): void {
  WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
    construct: (real, [module, imports]: [WebAssembly.Module, WebAssembly.Imports]) => {
      for (const functions of Object.values(imports)) {
        for (const [key, value] of Object.entries(functions)) {
          functions[key] = (...values: readonly unknown[]) => {
            if (globalThis.trapInside !== undefined && key.includes(`_${globalThis.trapInside}_`)) {
              globalThis.trapInside = undefined
              throw new WebAssembly.RuntimeError('unreachable')
            }
            if (globalThis.trapCarrying && key.includes('_carry_')) globalThis.trapInside = 'transaction'
            return (value as (...values: readonly unknown[]) => unknown)(...values)
          }
        }
      }
      return new real(module, imports)
    },
  })
}

async function enter(page: Page, address: string, relay: string, name = 'room'): Promise<void> {
  await page.addInitScript(setTraps)
  await page.goto(address)
  await page.waitForFunction(() => 'coweave' in globalThis)
  await page.evaluate(async ([relay, name]) => {
    globalThis.client = coweave.connect(relay)
    globalThis.restarts = 0
    globalThis.client.on('restarted', () => (globalThis.restarts += 1))
    globalThis.room = globalThis.client.room(name)
    await room.loaded
  }, [relay, name] as const)
}

const read = (page: Page): Promise<string> =>
  page.evaluate(() => room.doc.text('body').toString())

test('what the device was about to write is there after a restart, and after a reload', needsBrowser, async t => {
  const { context, address } = await browse(t)
  const page = await context.newPage()
  await enter(page, address, NOWHERE)
  await page.evaluate(async () => {
    const body = room.doc.text('body')
    body.insert(0, 'on the device ')
    await new Promise(resolve => room.on('saved', resolve))
    body.insert(body.length, 'on its way ')
    // The module takes the edit, and hands it to IndexedDB with its next breath.
    void room.saved
    body.insert(body.length, 'just typed ')
    globalThis.trapInside = 'edited'
    try {
      body.insert(0, 'trapped ')
    } catch {
      body.insert(body.length, 'typed after')
    }
  })
  const all = 'on the device on its way just typed typed after'
  assert.equal(await read(page), all)
  assert.equal(await page.evaluate(() => restarts), 1)
  await page.waitForFunction(() => room.saved.tier === 'device')
  assert.deepEqual(await page.evaluate(() => room.storage), { kind: 'device' })
  await page.reload()
  await enter(page, address, NOWHERE)
  assert.equal(await read(page), all)
})

test('a trap while the device is asked, written to or answers costs nothing', bothNeeded, async t => {
  const relay = await Relay.start(t)
  const { context, address } = await browse(t)
  const page = await context.newPage()
  await enter(page, address, relay.url)
  const other = client(t, relay.url).room('room')
  await other.synced
  let expected = ''
  // Each of these is called by the module in one of the steps of an edit.
  const steps = ['send', 'then', 'transaction', 'objectStore', 'put', 'set_oncomplete']
  for (const [index, step] of steps.entries()) {
    // Three within a minute are the most that a session bears.
    if (index === 3) await enter(page, address, relay.url)
    await page.evaluate(async step => {
      await room.synced
      const body = room.doc.text('body')
      globalThis.trapInside = step
      body.insert(body.length, `${step} `)
    }, step)
    expected += `${step} `
    await page.waitForFunction(count => restarts === count, (index % 3) + 1)
    await until(`what was typed before ${step}`, () => other.doc.text('body').toString() === expected)
    await page.waitForFunction(() => room.saved.tier === 'durable')
  }
  assert.equal(await read(page), expected)
})

test('edits left on the device that make the module trap do not stop the rooms of the app', bothNeeded, async t => {
  const relay = await Relay.start(t)
  const { context, address } = await browse(t)
  const gone = await context.newPage()
  await enter(gone, address, relay.url)
  await relay.stop()
  await gone.waitForFunction(() => room.status.state === 'offline')
  await gone.evaluate(() => {
    room.doc.text('body').insert(0, 'left behind')
  })
  await gone.waitForFunction(() => room.saved.tier === 'device')
  await gone.close()
  await relay.start()
  const page = await context.newPage()
  await page.addInitScript(() => {
    globalThis.trapCarrying = true
  })
  await enter(page, address, relay.url, 'another room')
  await page.waitForFunction(() => restarts === 1)
  await page.waitForFunction(() => room.status.state === 'live')
  // The next instance looks for what is left, and passes over the room.
  await page.evaluate(async () => {
    room.doc.text('body').insert(0, 'goes on')
    await room.flush()
  })
  assert.equal(await page.evaluate(() => restarts), 1)
  await page.evaluate(async () => {
    globalThis.room = globalThis.client.room('room')
    await room.synced
    await room.flush()
  })
  assert.equal(await read(page), 'left behind')
  const other = client(t, relay.url).room('room')
  await other.synced
  assert.equal(other.doc.text('body').toString(), 'left behind')
})

test('what the module was asked for while it trapped is answered by the next instance', needsBrowser, async t => {
  const { context, address } = await browse(t)
  const page = await context.newPage()
  await enter(page, address, NOWHERE)
  const copies = await page.evaluate(async () => {
    const copies = room.copies()
    await new Promise(resolve => {
      queueMicrotask(() => queueMicrotask(() => {
        resolve(undefined)
      }))
    })
    globalThis.trapInside = 'edited'
    try {
      room.doc.text('body').insert(0, 'trapped')
    } catch {
      return (await copies).length
    }
    return 'no trap'
  })
  assert.equal(copies, 0)
  assert.equal(await page.evaluate(() => restarts), 1)
})

test('an instance that trapped leaves neither a connection to the database nor listeners behind', needsBrowser, async t => {
  const { context, address } = await browse(t)
  const page = await context.newPage()
  await page.addInitScript(() => {
    const listen = globalThis.addEventListener
    globalThis.listenersToNetwork = 0
    globalThis.addEventListener = (...values: readonly unknown[]) => {
      if (values[0] === 'online') globalThis.listenersToNetwork += 1
      Reflect.apply(listen, globalThis, values)
    }
  })
  await enter(page, address, NOWHERE)
  await page.evaluate(() => {
    room.doc.text('body').insert(0, 'kept')
  })
  await page.waitForFunction(() => room.saved.tier === 'device')
  await page.evaluate(() => {
    globalThis.trapInside = 'edited'
    try {
      room.doc.text('body').insert(0, 'trapped')
    } catch {
      return
    }
  })
  await page.waitForFunction(() => room.saved.tier === 'device' && restarts === 1)
  assert.equal(await page.evaluate(() => listenersToNetwork), 1)
  // An open connection that nobody closes would block this for ever.
  const other = await context.newPage()
  await other.goto(address)
  const deleted = await other.evaluate(async () => new Promise(resolve => {
    indexedDB.deleteDatabase('coweave').onsuccess = () => {
      resolve('deleted')
    }
    setTimeout(resolve, 20_000, 'blocked')
  }))
  assert.equal(deleted, 'deleted')
})
