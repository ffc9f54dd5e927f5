// Editors that know of Yjs only, unmodified, on `coweave/yjs`: CodeMirror, ProseMirror and Quill.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { launchChromium } from './chromium.mjs'
import { EDITOR, ScriptedRelay, VIEWER } from './scripted-relay.mjs'
import { serveFolder } from './static-server.mjs'
import { buildEditors, openEditor } from './yjs-editors.mjs'

const screenshots = fileURLToPath(new URL('../../target/screenshots', import.meta.url))

let browser
let built
let relay
let served
let roomCount = 0

before(async () => {
  built = await buildEditors()
  served = await serveFolder(built.folder)
  relay = await Relay.start()
  browser = await launchChromium()
  await mkdir(screenshots, { recursive: true })
})
after(async () => {
  await browser?.close()
  await relay?.dispose()
  served?.close()
  await built?.dispose()
})

async function newContext(t) {
  const context = await browser.newContext({ viewport: { width: 720, height: 360 } })
  t.after(() => context.close())
  return context
}

/** Two people, each in a browser of their own. */
async function twoPeople(t, editor) {
  const place = { origin: served.url, editor, relay: relay.wsUrl, room: `${editor} ${++roomCount}` }
  const ana = await openEditor(await newContext(t), { ...place, name: 'Ana', color: '#c2683f' })
  const bo = await openEditor(await newContext(t), { ...place, name: 'Bo', color: '#3b6fb5' })
  await Promise.all([ana, bo].map(({ page }) => page.waitForFunction(() => window.app.provider.synced)))
  return [ana, bo]
}

async function untilEqual(...people) {
  await until(async () => new Set(await Promise.all(people.map(person => person.content()))).size === 1, 'everybody sees the same')
  return people[0].content()
}

async function assertNoProblems(...people) {
  for (const person of people) {
    assert.ok(await person.inRoom(), 'the room has what the Y.Doc has')
    assert.deepEqual(person.problems, [])
  }
}

for (const editor of ['codemirror', 'prosemirror', 'quill']) {
  describe(editor, () => {
    it('has two people who type at once, see each other, and undo what is theirs', async t => {
      const [ana, bo] = await twoPeople(t, editor)
      await ana.type('The garden. ')
      await bo.untilContent('The garden. ')
      // y-prosemirror redraws carets with delay, and a key that comes in between selects the text: so with y-websocket, too.
      await bo.press('End')
      await until(async () => (await ana.carets()).length === 1, 'the caret of Bo is drawn')
      await ana.press('Home')
      await until(async () => (await bo.carets()).length === 1, 'the caret of Ana is drawn')
      await Promise.all([
        ana.type('Ana writes at the top. ', { delay: 9 }),
        bo.type('Bo writes below.', { delay: 13 }),
      ])
      const both = 'Ana writes at the top. The garden. Bo writes below.'
      assert.equal(await untilEqual(ana, bo), both)

      // The caret of each stands in the other's editor where it is in the own one.
      await ana.press('Home', 'ArrowRight', 'ArrowRight', 'ArrowRight')
      for (const [seer, seen, name] of [[bo, ana, 'Ana'], [ana, bo, 'Bo']]) {
        const left = await seen.ownCaret()
        await until(async () => {
          const [caret, ...others] = await seer.carets()
          return caret?.name.startsWith(name) && others.length === 0 && Math.abs(caret.left - left) < 4
        }, async () => `${name}'s caret at ${left} is seen, not ${JSON.stringify(await seer.carets())}`)
      }
      await bo.page.screenshot({ path: `${screenshots}/yjs-${editor}.png` })

      // What is typed without a pause is undone at once, and a busy machine makes pauses.
      await until(async () => {
        if (!(await ana.content()).includes('Ana writes')) return true
        await ana.press('Control+z')
        return false
      }, 'what Ana wrote is undone')
      assert.match(await untilEqual(ana, bo), /Bo writes below\.$/)

      await bo.page.close()
      await until(async () => (await ana.carets()).length === 0, 'Bo is gone')
      await ana.press('Control+End')
      // ProseMirror learns later where the browser has put the caret.
      await ana.page.waitForFunction(() => window.app.isAtEnd())
      await ana.press('Enter', ...editor === 'codemirror' ? [] : ['Control+b'])
      await ana.type('A second line.')
      const cy = await openEditor(await newContext(t), { ...ana.place, name: 'Cy' })
      await cy.untilContent(await ana.content())
      assert.match(await cy.content(), /Bo writes below\.\nA second line\.$/)
      if (editor !== 'codemirror') await cy.page.locator('strong', { hasText: 'A second line.' }).waitFor()
      await assertNoProblems(ana, cy)
    })

    it('keeps what is typed offline over a reload, and brings it', async t => {
      const own = await Relay.start()
      t.after(() => own.dispose())
      const context = await newContext(t)
      const place = { origin: served.url, editor, relay: own.wsUrl, room: 'offline' }
      const train = await openEditor(context, place)
      await train.page.waitForFunction(() => window.app.provider.synced)
      await train.type('Together. ')
      await train.page.evaluate(() => window.app.room.flush())
      await own.kill()
      await train.page.waitForFunction(() => window.app.provider.status === 'disconnected')
      await train.type('Alone.')
      await train.page.waitForFunction(() => window.app.room.saved.tier === 'device')
      await train.page.close()

      const again = await openEditor(context, place)
      await again.untilContent('Together. Alone.')
      assert.equal(await again.page.evaluate(() => window.app.provider.synced), false)
      await own.start()
      await again.page.evaluate(() => window.app.room.flush())
      const office = await openEditor(await newContext(t), { ...place, name: 'Bo' })
      await office.untilContent('Together. Alone.')
      await assertNoProblems(again, office)
    })
  })
}

it('two tabs of a browser show the same without a relay, and bring it when there is one', async t => {
  const own = await Relay.start()
  t.after(() => own.dispose())
  const context = await newContext(t)
  const place = { origin: served.url, editor: 'codemirror', relay: own.wsUrl, room: 'tabs' }
  const left = await openEditor(context, place)
  await left.type('left. ')
  const right = await openEditor(context, { ...place, editor: 'quill' })
  // Two editors of one document: what one shows is in the other one's Y.Doc.
  const rightHas = text => right.page.evaluate(() => window.app.doc.getText('codemirror').toString()).then(has => has === text)
  await until(() => rightHas('left. '), 'the other tab has it')
  await own.kill()
  await left.page.waitForFunction(() => window.app.provider.status === 'disconnected')
  await left.type('offline. ')
  await until(() => rightHas('left. offline. '), 'the other tab has what is typed offline')
  await right.type('right.')
  await left.page.waitForFunction(() => window.app.doc.getText('quill').toString().startsWith('right.'))
  await left.page.close()
  await own.start()
  await right.page.evaluate(() => window.app.room.flush())
  const other = await openEditor(await newContext(t), place)
  await other.untilContent('left. offline. ')
  await assertNoProblems(right, other)
})

it('an editor and a plain y-websocket client see what the other writes, and where', async t => {
  const place = { origin: served.url, editor: 'codemirror', relay: relay.wsUrl, room: 'outside' }
  const ana = await openEditor(await newContext(t), place)
  const doc = new Y.Doc()
  const outside = new WebsocketProvider(relay.wsUrl, 'outside', doc, { WebSocketPolyfill: WebSocket, disableBc: true })
  t.after(() => { outside.destroy(); doc.destroy() })
  const text = doc.getText('codemirror')
  await ana.type('written here')
  await until(() => text.toString() === 'written here', 'it arrives')
  text.insert(0, 'elsewhere, ')
  await ana.untilContent('elsewhere, written here')

  const position = index => Y.createRelativePositionFromTypeIndex(text, index)
  outside.awareness.setLocalState({ user: { name: 'Cody', color: '#2f7d6b' }, cursor: { anchor: position(0), head: position(text.length) } })
  await ana.press('Home')
  const [caret] = await until(async () => {
    const carets = await ana.carets()
    return carets.length === 1 && carets
  }, 'the caret from outside is drawn')
  assert.equal(caret.name, 'Cody')
  const headOf = ({ cursor }) => cursor && Y.createAbsolutePositionFromRelativePosition(cursor.head, doc)?.index
  const isAtStart = () => [...outside.awareness.getStates().values()].some(state => state.user?.name === 'Ana' && headOf(state) === 0)
  await until(isAtStart, () => `the caret of the page is seen outside: ${JSON.stringify([...outside.awareness.getStates()])}`)
  await assertNoProblems(ana)
})

it('what a viewer writes stays in the editor, and comes when it may write', async t => {
  const scripted = await ScriptedRelay.start()
  t.after(() => scripted.close())
  scripted.role = VIEWER
  scripted.doc.getText('codemirror').insert(0, 'theirs')
  const ana = await openEditor(await newContext(t), { origin: served.url, editor: 'codemirror', relay: scripted.url, room: 'read' })
  await ana.untilContent('theirs')
  await ana.press('End')
  await ana.type(', mine')
  assert.equal(await ana.inRoom(), false)
  assert.equal(await ana.content(), 'theirs, mine')
  scripted.assign(EDITOR)
  await until(() => scripted.doc.getText('codemirror').toString() === 'theirs, mine', 'it comes')
  await ana.type(', too')
  await until(() => scripted.doc.getText('codemirror').toString() === 'theirs, mine, too', 'what follows comes')
  await assertNoProblems(ana)
})
