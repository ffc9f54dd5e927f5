// The guide: every sample compiles against the packed package and does what the page says.

import assert from 'node:assert/strict'
import { execFile, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'
import { Relay, needsRelay } from './world.js'

const run = promisify(execFile)
const packageFolder = fileURLToPath(new URL('..', import.meta.url))
const guideFolder = fileURLToPath(new URL('../../docs/guide', import.meta.url))
const BROWSER = process.env['COWEAVE_CHROMIUM'] ?? '/usr/bin/chromium'
const needsBrowser = { skip: !existsSync(BROWSER) && `there is no browser at ${BROWSER}: NOT TESTED` }
const PROGRAM_MS_MAX = 120_000
/** What the pages call their relay. */
const ADDRESS = 'wss://relay.example.org'

/** Rooms that can be filled in a test. */
const SETTINGS = { COWEAVE_ROOM_BYTES_MAX: '100000' }

/** What every program finds beside the package. */
const types = `
interface RelayUnderTest {
  readonly start: () => Promise<void>
  readonly stop: () => Promise<void>
}
/** The relay of this program. */
declare const relay: RelayUnderTest
declare function until(what: string, is: () => boolean): Promise<void>
declare function equal(actual: unknown, expected: unknown): void
`

const prelude = `
globalThis.until = async (what, is) => {
  const end = Date.now() + 60_000
  while (!is()) {
    if (Date.now() > end) throw new Error('not within a minute: ' + what)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
globalThis.equal = (actual, expected) => {
  const [left, right] = [actual, expected].map(it => JSON.stringify(it))
  if (left !== right) throw new Error(left + ' is not ' + right)
}
`

/** For Node: the relay belongs to the test, which is asked for it. */
const nodeRunner = `${prelude}
const ask = what => new Promise((resolve, reject) => {
  process.once('message', resolve)
  process.send(what, error => error && reject(error))
})
globalThis.relay = { start: () => ask('start'), stop: () => ask('stop') }
await import(process.argv[2])
process.exit(0)
`

const page = `<!doctype html><html lang="en"><title>guide</title><script type="importmap">
{ "imports": {
  "coweave": "/node_modules/coweave/dist/web.js",
  "coweave/panel": "/node_modules/coweave/dist/panel.js"
} }
</script>`

/** One section of a page: its samples and what stands in comments, as one program. */
interface Program {
  readonly title: string
  readonly file: string
  readonly isInBrowser: boolean
  readonly source: string
}

/** The programs of a page. */
function programsOf(pageName: string, markdown: string): readonly Program[] {
  return markdown.split(/^## /m).slice(1).flatMap((section, index) => {
    const blocks = section.matchAll(/^(?:```ts\n([^]*?)^```|<!-- ts\n([^]*?)^-->)$/gm)
    const parts = [...blocks].map(([, shown, hidden]) => shown ?? hidden ?? '')
    if (!section.includes('```ts\n')) return []
    return [{
      title: `${pageName}: ${section.slice(0, section.indexOf('\n'))}`,
      file: `${pageName}-${String(index + 1)}`,
      isInBrowser: section.includes('<!-- in the browser -->'),
      source: parts.join('\n'),
    }]
  })
}

const pages = (await readdir(guideFolder)).filter(name => name.endsWith('.md'))
const programs = (await Promise.all(pages.map(async name => {
  return programsOf(basename(name, '.md'), await readFile(join(guideFolder, name), 'utf8'))
}))).flat()

let app: string
let browser: Browser | undefined
let compiled: string

/** An app with the packed package, and all programs compiled as strictly as can be. */
async function build(): Promise<void> {
  app = await mkdtemp(join(tmpdir(), 'coweave-guide-'))
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', app], { cwd: packageFolder })
  const archive = (await readdir(app)).find(name => name.endsWith('.tgz'))
  assert.ok(archive !== undefined)
  const installed = join(app, 'node_modules/coweave')
  await mkdir(installed, { recursive: true })
  await run('tar', ['-xzf', join(app, archive), '-C', installed, '--strip-components', '1'])
  for (const name of ['ws', 'yjs', 'y-protocols']) {
    await symlink(join(packageFolder, 'node_modules', name), join(app, 'node_modules', name))
  }
  await writeFile(join(app, 'package.json'), '{ "type": "module" }')
  await writeFile(join(app, 'guide.d.ts'), types)
  await writeFile(join(app, 'run.js'), nodeRunner)
  for (const { file, source } of programs) {
    await writeFile(join(app, `${file}.ts`), `${source}\nexport {}\n`)
  }
  const options = ['--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes']
  const target = ['--target', 'es2022', '--lib', 'es2022,dom', '--types', '', '--outDir', 'out']
  const resolution = ['--module', 'esnext', '--moduleResolution', 'bundler', '--noEmitOnError', 'false']
  const compiler = join(packageFolder, 'node_modules/typescript/bin/tsc')
  const files = ['guide.d.ts', ...programs.map(({ file }) => `${file}.ts`)]
  const found = await run('node', [compiler, ...options, ...target, ...resolution, ...files], { cwd: app })
    .catch((error: unknown) => error as { readonly stdout: string })
  compiled = found.stdout
}

async function inNode(program: Program, relay: Relay): Promise<void> {
  const child = fork(join(app, 'run.js'), [join(app, 'out', `${program.file}.js`)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    timeout: PROGRAM_MS_MAX,
  })
  let said = ''
  child.stderr?.on('data', (text: Buffer) => (said += text.toString()))
  child.on('message', what => {
    const done = what === 'start' ? relay.start() : relay.stop()
    done.then(() => child.send('done'), () => child.kill())
  })
  const code = await new Promise<number | null>(resolve => child.once('exit', resolve))
  assert.equal(code, 0, said)
}

async function inBrowser(program: Program, relay: Relay): Promise<void> {
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    if (path === '/') {
      response.setHeader('content-type', 'text/html').end(page)
      return
    }
    readFile(join(app, path)).then(content => {
      const type = path.endsWith('.wasm') ? 'application/wasm' : 'text/javascript'
      response.setHeader('content-type', type).end(content)
    }, () => response.writeHead(404).end())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const context = await browser?.newContext()
  assert.ok(context !== undefined)
  try {
    const tab = await context.newPage()
    await tab.exposeFunction('startRelay', () => relay.start())
    await tab.exposeFunction('stopRelay', () => relay.stop())
    await tab.goto(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`)
    await tab.evaluate(`(async () => {${prelude}
      globalThis.relay = { start: startRelay, stop: stopRelay }
      await import('/out/${program.file}.js')
    })()`)
  } finally {
    await context.close()
    server.closeAllConnections()
    server.close()
  }
}

describe('the guide', { ...needsRelay, concurrency: 2 }, () => {
  before(async () => {
    await build()
    if (!needsBrowser.skip) browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox'] })
  })
  after(async () => {
    await browser?.close()
    await rm(app, { recursive: true, force: true })
  })

  test('has samples, and they compile', () => {
    assert.ok(programs.length >= 8, `${String(programs.length)} programs`)
    assert.equal(compiled, '')
  })

  for (const program of programs) {
    const { skip } = program.isInBrowser ? needsBrowser : needsRelay
    test(program.title, { skip, timeout: PROGRAM_MS_MAX }, async t => {
      const relay = await Relay.start(t, SETTINGS)
      const script = join(app, 'out', `${program.file}.js`)
      const code = await readFile(script, 'utf8')
      assert.ok(code.includes(ADDRESS), 'the program talks to no relay')
      await writeFile(script, code.replaceAll(ADDRESS, relay.url))
      await (program.isInBrowser ? inBrowser(program, relay) : inNode(program, relay))
    })
  }
})
