// Builds the page with the editors made for Yjs, and opens it.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'vite'

import { until } from '../harness/until.mjs'

const root = fileURLToPath(new URL('yjs-page', import.meta.url))
const packageFile = name => fileURLToPath(new URL(`../../npm/dist/${name}`, import.meta.url))

/** The folder of the built page; given back with `dispose`. */
export async function buildEditors() {
  const folder = await mkdtemp(join(tmpdir(), 'coweave-yjs-'))
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    base: './',
    resolve: {
      alias: [
        { find: /^coweave$/, replacement: packageFile('web.js') },
        { find: /^coweave\/yjs$/, replacement: packageFile('yjs.js') },
      ],
      // One Yjs for all, as an app has it that installs the package.
      dedupe: ['yjs', 'y-protocols', 'lib0'],
    },
    build: { outDir: folder, emptyOutDir: true, target: 'es2022', minify: false, chunkSizeWarningLimit: 4_000 },
  })
  return { folder, dispose: () => rm(folder, { recursive: true, force: true }) }
}

/** Opens an editor; the person has a name and a color. */
export async function openEditor(context, place) {
  const { origin, editor, relay, room, name = 'Ana', color = '#c2683f' } = place
  const page = await context.newPage()
  const problems = []
  page.on('pageerror', error => problems.push(String(error)))
  page.on('console', message => {
    const isNetwork = /WebSocket connection|ERR_/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !isNetwork) problems.push(message.text())
  })
  const query = new URLSearchParams({ editor, relay, room, name, color })
  await page.goto(`${origin}/?${query}`)
  await page.waitForFunction(() => 'app' in window, null, { timeout: 60_000 }).catch(error => {
    throw new Error(`the editor did not open: ${problems.join('; ')}`, { cause: error })
  })
  return new Editor(page, place, problems)
}

const AREAS = { codemirror: '.cm-content', prosemirror: '.ProseMirror', quill: '.ql-editor' }
/** Of one other person: the caret, and where its name stands. */
const CARETS = {
  codemirror: ['.cm-ySelectionCaret', '.cm-ySelectionInfo'],
  prosemirror: ['.ProseMirror-yjs-cursor', '.ProseMirror-yjs-cursor > div'],
  quill: ['.ql-cursor-caret', '.ql-cursor-name'],
}

class Editor {
  constructor(page, place, problems) {
    this.page = page
    this.place = place
    this.problems = problems
    this.area = page.locator(AREAS[place.editor])
  }

  content() {
    return this.page.evaluate(() => window.app.content())
  }

  /** What the room has, without the Y.Doc of the page. */
  inRoom() {
    return this.page.evaluate(() => {
      const copy = new window.Y.Doc()
      window.Y.applyUpdate(copy, window.app.room.doc.encodeState())
      const states = [copy, window.app.doc].map(doc => JSON.stringify([
        doc.getText('codemirror').toDelta(), doc.getText('quill').toDelta(), doc.getXmlFragment('prosemirror').toString(),
      ]))
      return states[0] === states[1]
    })
  }

  async type(text, options) {
    await this.area.focus()
    await this.page.keyboard.type(text, options)
  }

  async press(...keys) {
    await this.area.focus()
    for (const key of keys) await this.page.keyboard.press(key)
  }

  async untilContent(expected) {
    let last
    await until(async () => (last = await this.content()) === expected, () => `the editor shows ${JSON.stringify(expected)}, and not ${JSON.stringify(last)}`)
  }

  /** The carets of others: their names, and where they are. */
  carets() {
    return this.page.evaluate(([caret, label]) => {
      const names = [...document.querySelectorAll(label)].map(it => it.textContent)
      return [...document.querySelectorAll(caret)].map((it, i) => ({ name: names[i], left: it.getBoundingClientRect().left }))
    }, CARETS[this.place.editor])
  }

  /** Where the own caret is on the screen. */
  ownCaret() {
    return this.page.evaluate(() => {
      const range = getSelection().getRangeAt(0).cloneRange()
      const [rect] = range.getClientRects()
      return (rect ?? range.startContainer.parentElement.getBoundingClientRect()).left
    })
  }
}
