// The package in tiny projects, as users get it: packed, installed, built, opened in a browser, and two pages edit together.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'

import { launchChromium } from '../browser/chromium.mjs'
import { serveFolder } from '../browser/static-server.mjs'
import { Relay } from '../harness/relay.mjs'
import { until } from '../harness/until.mjs'
import { Consumer, pack } from './consumer.mjs'
import { NotePage } from './note-page.mjs'

/** How the entries load the module: `.` from one file, `./inline` from the code. */
const FILE = { files: 1, modules: 1 }
const INLINE = { files: 0, modules: 1 }

let packed
let browser

before(async () => {
  packed = await pack()
  browser = await launchChromium()
})
after(async () => {
  await browser?.close()
  await packed?.remove()
})

async function startRelay(t) {
  const relay = await Relay.start()
  t.after(() => relay.dispose())
  return relay.wsUrl
}

async function serveFiles(t, consumer, path = '') {
  const served = await serveFolder(`${consumer.folder}/${path}`)
  t.after(() => served.close())
  return served.url
}

/** Two pages, in browsers that know nothing of each other, load wasm when they need it, and edit together. */
async function expectTogether(t, url, uses) {
  const relay = await startRelay(t)
  const [ana, bo] = await Promise.all([NotePage.open(t, browser, url), NotePage.open(t, browser, url)])
  assert.deepEqual(await ana.wasmUses(), { files: 0, modules: 0 }, 'importing the package costs no wasm')
  await Promise.all([ana.join(relay), bo.join(relay)])
  assert.deepEqual(await ana.wasmUses(), uses)
  await ana.write('from Ana, ')
  await bo.untilText('from Ana, ')
  await bo.write('from Bo')
  await ana.untilText('from Ana, from Bo')
  ana.assertNoProblems()
  bo.assertNoProblems()
  return ana
}

/** What is mounted, unmounted and mounted again is one room over one socket, and nothing when it is gone. */
async function expectOneRoom(t, url) {
  const relay = await startRelay(t)
  const bo = await NotePage.open(t, browser, url)
  await bo.join(relay)
  await bo.write('from Bo, ')
  const strict = await NotePage.open(t, browser, `${url}/strict/`)
  await strict.join(relay)
  await strict.untilShown('#note', 'from Bo, ')
  await bo.write('and still from Bo')
  await strict.untilShown('#note', 'from Bo, and still from Bo')
  const rooms = () => strict.evaluate(() => client.debug().rooms.map(({ name, shares }) => `${name}: ${shares}`))
  assert.equal(await strict.evaluate(() => mounts), 2)
  assert.deepEqual(await rooms(), ['notes/today: 1'])
  assert.equal(strict.socketsTo(relay), 1)
  await strict.evaluate(() => unmount())
  await until(async () => (await rooms()).length === 0, 'the room is gone with what showed it')
  strict.assertNoProblems()
}

/** What a visitor of the app downloads, wasm and JavaScript, stays within the budget. */
async function expectSmall(t, paths) {
  const budget = JSON.parse(await readFile(new URL('../../npm/size.json', import.meta.url), 'utf8')).download
  const files = await Promise.all(paths.map(path => readFile(path)))
  const sizes = {
    gzip: total(files.map(file => gzipSync(file, { level: 9 }))),
    brotli: total(files.map(file => brotliCompressSync(file))),
  }
  t.diagnostic(`a visitor downloads ${sizes.brotli.toLocaleString('en')} bytes (brotli)`)
  for (const [name, size] of Object.entries(sizes)) {
    assert.ok(size <= budget[name], `${name}: ${size} bytes of at most ${budget[name]}`)
  }
}

function total(files) {
  return files.reduce((sum, { length }) => sum + length, 0)
}

// Two at a time: there are two cores, and Next.js takes as long as all the others.
describe('an app edits together with others', { concurrency: 2 }, () => {
  it('made with Next.js, its page rendered by the server', async t => {
    const consumer = await Consumer.install('next', packed.archive)
    for (const bundler of ['turbopack', 'webpack']) {
      await t.test(`and built by ${bundler}`, async t => {
        await consumer.runTool('next', ['build', `--${bundler}`])
        assert.equal((await consumer.wasmFiles('.next/static')).length, 1)
        const url = await consumer.serve(t, 'next', ['start', '--hostname', '127.0.0.1', '--port', '0'])
        const html = await (await fetch(url)).text()
        assert.match(html, /<h1>function<\/h1><p id="note">nothing yet<\/p>/)
        const page = await expectTogether(t, url, FILE)
        await page.untilShown('#note', 'from Ana, from Bo')
      })
    }
  })

  it('made with Vite', async t => {
    const consumer = await Consumer.install('vite', packed.archive)
    await consumer.run('npm', ['run', 'build'])
    assert.equal((await consumer.wasmFiles('dist')).length, 1)
    await expectTogether(t, await serveFiles(t, consumer, 'dist'), FILE)
    assert.deepEqual(await consumer.wasmFiles('inline/dist'), [])
    await expectTogether(t, await serveFiles(t, consumer, 'inline/dist'), INLINE)
    const url = await consumer.serve(t, 'vite', ['--host', '127.0.0.1', '--port', '0'])
    await expectTogether(t, url, FILE)
    await t.test('and React in development, whose StrictMode mounts twice', t => expectOneRoom(t, url))
  })

  it('made with webpack', async t => {
    const consumer = await Consumer.install('webpack', packed.archive)
    await consumer.run('npm', ['run', 'build'])
    assert.equal((await consumer.wasmFiles('dist')).length, 1)
    assert.deepEqual(await consumer.wasmFiles('dist-inline'), [])
    const url = await serveFiles(t, consumer)
    await expectTogether(t, `${url}/index.html`, FILE)
    await expectTogether(t, `${url}/inline.html`, INLINE)
  })

  for (const name of ['esbuild', 'rollup']) {
    it(`made with ${name}, the module inline or copied`, async t => {
      const consumer = await Consumer.install(name, packed.archive)
      await consumer.run('npm', ['run', 'build'])
      const url = await serveFiles(t, consumer)
      await expectTogether(t, `${url}/inline.html`, INLINE)
      await expectTogether(t, `${url}/copied.html`, FILE)
      // The other one's code is not minified, and imports nothing but code.
      if (name !== 'esbuild') return
      await expectTogether(t, `${url}/exported.html`, FILE)
      await expectSmall(t, ['copied.js', 'coweave_bg.wasm'].map(file => `${consumer.folder}/dist/${file}`))
    })
  }

  it('of plain modules with an import map', async t => {
    const consumer = await Consumer.install('import-map', packed.archive)
    await expectTogether(t, await serveFiles(t, consumer), FILE)
  })

  it('of processes of Node.js', async t => {
    const consumer = await Consumer.install('node', packed.archive)
    const relay = await startRelay(t)
    const words = ['one', 'two', 'three']
    const printed = await Promise.all(words.map(word => consumer.run('node', ['main.js', relay, word, words.length])))
    assert.deepEqual(printed, words.map(() => 'one three two\n'))
  })
})
