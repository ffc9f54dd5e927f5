// Pages that keep a room on their device, and a look into what their database holds.

import { fileURLToPath } from 'node:url'

import { serveFolder } from './static-server.mjs'

const packageFolder = fileURLToPath(new URL('../../npm', import.meta.url))

const PAGE = `<!doctype html><title>device</title>
<script type="importmap">{ "imports": { "coweave": "/dist/web.js" } }</script>
<script type="module">Object.assign(window, { coweave: await import('coweave') })</script>`

/** Nobody listens here. */
export const NOWHERE = 'ws://127.0.0.1:9'

/** Serves the package as it is built, and a page that imports it. */
export async function servePackage() {
  return serveFolder(packageFolder, { '/page.html': PAGE })
}

/** A browser profile of its own. */
export async function newProfile(t, browser) {
  const context = await browser.newContext()
  t.after(() => context.close())
  return context
}

/** A page without a room. */
export async function openPage(context, origin) {
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  await page.goto(`${origin}/page.html`)
  await page.waitForFunction(() => 'coweave' in window)
  return page
}

/** A page with a room, as the device has it. */
export async function openRoom(context, origin, options = {}) {
  const page = await openPage(context, origin)
  await enter(page, options)
  return page
}

/** Enters a room in a page that is there. */
export async function enter(page, { relay = NOWHERE, room = 'notes', user } = {}) {
  await page.waitForFunction(() => 'coweave' in window)
  await page.evaluate(async ({ relay, name, user }) => {
    const client = window.coweave.connect(relay, user === undefined ? {} : { user })
    const room = client.room(name)
    const events = []
    for (const event of ['storage-lost', 'storage-restored', 'storage-damaged']) {
      room.on(event, error => events.push([event, error?.message ?? '']))
    }
    Object.assign(window, { client, room, events })
    await room.loaded
  }, { relay, name: room, user })
}

/** Waits for the device, which a busy machine may open later than the room needs it. */
export async function waitForDevice(page) {
  await page.waitForFunction(() => window.room.storage.kind !== 'lost')
}

/** Waits until the device has written down all that it was given: the relay may be quicker, and a reload interrupts it. */
export async function untilWritten(page) {
  await page.waitForFunction(() => window.client.debug().rooms.every(({ isOnDevice, figures }) =>
    isOnDevice && figures.device.writesWaiting === 0 && !figures.device.isWriting))
}

/** Enters a room of a page anew. */
export async function enterAgain(page, options) {
  await page.reload()
  await enter(page, options)
  await waitForDevice(page)
}

export function read(page) {
  return page.evaluate(() => window.room.doc.text('body').toString())
}

/** Types at the end. */
export async function type(page, content) {
  await page.evaluate(content => {
    const body = window.room.doc.text('body')
    body.insert(body.length, content)
  }, content)
}

/** Types at the end, and waits until the page says that it is on the device. */
export async function keep(page, content) {
  await type(page, content)
  await page.waitForFunction(() => window.room.saved.tier !== 'memory')
}

/** All rows of the database, by store. */
export function rows(page) {
  return page.evaluate(async () => {
    const database = await new Promise((resolve, reject) => {
      const request = indexedDB.open('coweave')
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
    const stores = [...database.objectStoreNames]
    const all = {}
    const transaction = database.transaction(stores)
    for (const store of stores) {
      transaction.objectStore(store).getAll().onsuccess = event => (all[store] = event.target.result)
    }
    await new Promise(resolve => (transaction.oncomplete = resolve))
    const { version } = database
    database.close()
    return { version, ...all }
  })
}

/** An update that writes into the text `body`: one client, one struct. */
export function typed(client, content) {
  const bytes = [...new TextEncoder().encode(content)]
  return [1, 1, client, 0, 4, 1, 4, ...new TextEncoder().encode('body'), bytes.length, ...bytes, 0]
}

/** Lays a database out as its first version was, with what a page that died had in it, and holds it open. */
export async function layOutVersion1(page, relay, given = []) {
  await page.evaluate(layOut, { room: `${relay}/ notes`, given })
}

/** Runs in the page. */
export async function layOut({ room, given }) {
  const request = indexedDB.open('coweave', 1)
  request.onupgradeneeded = () => {
    const database = request.result
    database.createObjectStore('rows', { keyPath: ['room', 'order', 'writer'] })
    database.createObjectStore('pending', { keyPath: ['room', 'order', 'writer'] })
    database.createObjectStore('places', { keyPath: ['room', 'lineage'] })
  }
  await new Promise((resolve, reject) => Object.assign(request, { onsuccess: resolve, onerror: reject }))
  const database = request.result
  const transaction = database.transaction(['rows', 'pending', 'places'], 'readwrite')
  for (const [at, update] of given.entries()) {
    const key = { room, order: at + 1, writer: '00000000000000aa' }
    transaction.objectStore('rows').put({ ...key, update: new Uint8Array(update) })
    if (at === given.length - 1) transaction.objectStore('pending').put(key)
  }
  transaction.objectStore('places').put({ room, lineage: new Uint8Array(16).fill(7), epoch: 1, sequence: 2 })
  await new Promise(resolve => (transaction.oncomplete = resolve))
  window.held = database
}
