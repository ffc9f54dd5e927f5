// People with other Yjs editors in the same note: the page shows them, and takes nothing for granted.

import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { openNotes } from './notes-page.mjs'

const dist = fileURLToPath(new URL('../../examples/notes/dist', import.meta.url))

let browser
let relay

before(async () => {
  relay = await Relay.start({ args: ['--static-dir', dist] })
  browser = await launchChromium()
})
after(async () => {
  await browser.close()
  await relay.dispose()
})

async function openOutside(t, roomName) {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(relay.wsUrl, roomName, doc, { WebSocketPolyfill: WebSocket, disableBc: true })
  t.after(() => { provider.destroy(); doc.destroy() })
  await until(() => provider.synced, 'the outside client is synced')
  return { doc, text: doc.getText('body'), awareness: provider.awareness }
}

async function openPage(t, roomName) {
  const context = await browser.newContext()
  t.after(() => context.close())
  return openNotes(context, { origin: relay.httpUrl, roomName })
}

it('their carets are drawn when they show them as y-codemirror does', async t => {
  const outside = await openOutside(t, 'outside')
  const notes = await openPage(t, 'outside')
  outside.text.insert(0, 'written elsewhere')
  await notes.untilContent('written elsewhere')
  const place = index => Y.createRelativePositionFromTypeIndex(outside.text, index)
  outside.awareness.setLocalState({
    user: { name: 'Cody', color: '#2f7d6b', colorLight: '#2f7d6b33' },
    cursor: { anchor: place(0), head: place(7) },
  })
  const [caret] = await until(async () => {
    const carets = await notes.carets()
    return carets.length === 1 && carets
  }, 'the page draws the caret')
  assert.equal(caret.name, 'Cody')
  assert.equal(caret.color, 'rgb(47, 125, 107)')
  assert.equal(caret.selected.length, 1)

  await notes.caretTo(7)
  const headOf = state => Y.createAbsolutePositionFromRelativePosition(state.cursor.head, outside.doc)?.index
  const isShown = () => [...outside.awareness.getStates().values()].some(state => state.name && state.cursor && headOf(state) === 7)
  await until(isShown, 'the outside client can read the caret of the page as it comes')
})

it('whatever they show, the page stays what it is', async t => {
  const outside = await openOutside(t, 'strange')
  const notes = await openPage(t, 'strange')
  outside.text.insert(0, 'carriage\r\nreturn')
  await until(async () => (await notes.content()).includes('return'), 'the page has the text')
  const strange = [
    {},
    { name: 5, color: {}, cursor: 'here' },
    { user: null, cursor: { anchor: null, head: 7 } },
    { name: '<img src=x onerror=alert(1)>', color: 'red;background:url(//x)', cursor: { anchor: { tname: 'body' }, head: { tname: 'body' } } },
    { name: 'x'.repeat(5_000), color: '#ffffff', cursor: { anchor: { type: { client: 1, clock: 1 } }, head: [] } },
  ]
  for (const state of strange) {
    outside.awareness.setLocalState({ ...state, probe: strange.indexOf(state) })
    await until(async () => (await notes.page.locator('#people li').count()) === 2, 'the page shows somebody')
  }
  outside.awareness.setLocalState({ user: { name: 'Last', color: '#000000' } })
  await until(async () => (await notes.page.locator('#people li').last().getAttribute('aria-label')) === 'Last', 'the page still follows')
  assert.equal(await notes.page.locator('img').count(), 0)

  // What is shown as a letter without width is still a carriage return to everybody else.
  await notes.caretTo((await notes.content()).length)
  await notes.type('!')
  await until(() => outside.text.toString() === 'carriage\r\nreturn!', () => `they have ${JSON.stringify(outside.text.toString())}`)
  assert.deepEqual(notes.problems, [])
})
