// The package as apps get it: packed, installed, and imported by a Vite app without any plugin.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { createServer } from 'vite'

import { Relay } from '../harness/relay.mjs'
import { launchChromium } from './chromium.mjs'

const run = promisify(execFile)
const packageFolder = fileURLToPath(new URL('../../npm', import.meta.url))

const APP_HTML = '<!doctype html><title>app</title><script type="module" src="/main.ts"></script>'
const APP_MAIN = `
import { connect, CoweaveError, type Room } from 'coweave'

const relay = new URLSearchParams(location.search).get('relay') ?? ''
const client = connect(relay)
const room: Room = client.room('vite app')
await room.synced
Object.assign(window, { app: { connect, CoweaveError, client, room, text: room.doc.text('body') } })
`

let browser
let relay
let app

before(async () => {
  app = await mkdtemp(join(tmpdir(), 'coweave-vite-app-'))
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', app], { cwd: packageFolder })
  const [{ filename, files }] = JSON.parse(stdout)
  assert.ok(files.some(({ path }) => path === 'dist/web.js'), 'npm/dist is missing: build the package first')
  await writeFile(join(app, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await writeFile(join(app, 'index.html'), APP_HTML)
  await writeFile(join(app, 'main.ts'), APP_MAIN)
  await run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', `./${filename}`], { cwd: app })
  relay = await Relay.start()
  browser = await launchChromium()
})
after(async () => {
  await browser?.close()
  await relay?.dispose()
  await rm(app, { recursive: true, force: true })
})

async function openApp(t, origin) {
  const context = await browser.newContext()
  t.after(() => context.close())
  const page = await context.newPage()
  const problems = []
  page.on('pageerror', error => problems.push(String(error)))
  await page.goto(`${origin}/?relay=${encodeURIComponent(relay.wsUrl)}`)
  await page.waitForFunction(() => 'app' in window, null, { timeout: 60_000 }).catch(error => {
    throw new Error(`The app did not start: ${problems.join('; ')}`, { cause: error })
  })
  return page
}

async function startDevServer(t) {
  const server = await createServer({ root: app, configFile: false, logLevel: 'error', server: { host: '127.0.0.1', port: 0 } })
  t.after(() => server.close())
  await server.listen()
  return `http://127.0.0.1:${server.httpServer.address().port}`
}

describe('a Vite app', () => {
  it('that misuses the package gets typed errors, and goes on', async t => {
    const page = await openApp(t, await startDevServer(t))
    const codes = await page.evaluate(async () => {
      const { connect, CoweaveError, client, room, text } = window.app
      text.delete(0, text.length)
      text.insert(0, 'a😀b')
      const other = client.room('given back')
      await other.loaded
      const gone = other.doc.text('body')
      other.dispose()
      const cyclic = {}
      cyclic.self = cyclic
      const misuses = {
        'connect to a number': () => connect(5),
        'connect to no URL': () => connect('over there'),
        'connect by FTP': () => connect('ftp://127.0.0.1'),
        'a room without a name': () => client.room(''),
        'a room by number': () => client.room(7),
        'insert at a string': () => text.insert('0', 'x'),
        'insert a number': () => text.insert(0, 5),
        'insert at a half': () => text.insert(0.5, 'x'),
        'insert at NaN': () => text.insert(NaN, 'x'),
        'insert before the start': () => text.insert(-1, 'x'),
        'insert behind the end': () => text.insert(99, 'x'),
        'insert half a pair': () => text.insert(0, '\ud83d'),
        'insert into a pair': () => text.insert(2, 'x'),
        'delete half a pair': () => text.delete(0, 2),
        'delete too much': () => text.delete(0, 99),
        'a position behind the end': () => text.position(99),
        'show a string': () => room.presence.set('me'),
        'show a cycle': () => room.presence.set(cyclic),
        'listen to nothing known': () => room.on('nothing', () => undefined),
        'listen without a function': () => text.subscribe('x'),
        'an async change': () => room.doc.transact(async () => undefined),
        'edit a disposed room': () => gone.insert(0, 'x'),
        'read a disposed room': () => gone.toString(),
        'flush a disposed room': () => other.flush(),
      }
      const results = {}
      for (const [what, misuse] of Object.entries(misuses)) {
        try {
          await misuse()
          results[what] = 'nothing was thrown'
        } catch (error) {
          results[what] = error instanceof CoweaveError ? error.code : String(error)
        }
      }
      text.insert(4, '!')
      return { ...results, afterwards: text.toString() }
    })
    assert.deepEqual(codes, {
      'connect to a number': 'api.wrong_type',
      'connect to no URL': 'api.invalid_url',
      'connect by FTP': 'api.invalid_url',
      'a room without a name': 'room.invalid_name',
      'a room by number': 'api.wrong_type',
      'insert at a string': 'api.wrong_type',
      'insert a number': 'api.wrong_type',
      'insert at a half': 'api.wrong_type',
      'insert at NaN': 'api.wrong_type',
      'insert before the start': 'api.out_of_range',
      'insert behind the end': 'api.out_of_range',
      'insert half a pair': 'api.split_surrogate',
      'insert into a pair': 'api.split_surrogate',
      'delete half a pair': 'api.split_surrogate',
      'delete too much': 'api.out_of_range',
      'a position behind the end': 'api.out_of_range',
      'show a string': 'api.wrong_type',
      'show a cycle': 'api.wrong_type',
      'listen to nothing known': 'api.wrong_type',
      'listen without a function': 'api.wrong_type',
      'an async change': 'api.wrong_type',
      'edit a disposed room': 'api.disposed',
      'read a disposed room': 'api.disposed',
      'flush a disposed room': 'api.disposed',
      afterwards: 'a😀b!',
    })
  })
})
