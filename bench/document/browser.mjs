// Libraries in pages of Chromium, each with a page of its own.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

import { chromium } from 'playwright-core'
import { build } from 'vite'

const root = fileURLToPath(new URL('.', import.meta.url))
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json' }
const MEASURE_MS_MAX = 180_000

export class Browser {
  #server
  #browser

  static async start(folder) {
    const started = new Browser()
    await buildPage(join(folder, 'page'))
    started.#server = serve([join(folder, 'page'), folder])
    await once(started.#server, 'listening')
    started.#browser = await chromium.launch({
      executablePath: process.env.COWEAVE_CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
    })
    return started
  }

  get version() {
    return this.#browser.version()
  }

  async open(library) {
    const context = await this.#browser.newContext()
    const page = await context.newPage()
    page.setDefaultTimeout(MEASURE_MS_MAX)
    const devtools = await context.newCDPSession(page)
    await page.exposeFunction('heapBytes', async () => {
      await devtools.send('HeapProfiler.collectGarbage')
      const { usedSize, backingStorageSize = 0 } = await devtools.send('Runtime.getHeapUsage')
      return usedSize + backingStorageSize
    })
    await page.goto(`http://127.0.0.1:${this.#server.address().port}/page.html?library=${library}`)
    await page.waitForFunction(() => 'measure' in globalThis)
    return {
      measure: (workload, limit) => page.evaluate(([workload, limit]) => measure(workload, limit), [workload, limit]),
      stop: () => context.close(),
    }
  }

  async stop() {
    await this.#browser?.close()
    this.#server?.closeAllConnections()
    this.#server?.close()
  }
}

async function buildPage(outDir) {
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    resolve: {
      alias: [
        // What their packages give to bundlers needs plugins for WebAssembly.
        { find: /^loro-crdt$/, replacement: join(root, 'page/loro.js') },
        { find: /^@automerge\/automerge$/, replacement: join(root, 'page/automerge.js') },
        { find: /^ywasm$/, replacement: join(root, 'node_modules/ywasm/ywasm.js') },
      ],
    },
    plugins: [ywasmForBrowsers],
    build: { outDir, emptyOutDir: true, target: 'es2022', rollupOptions: { input: join(root, 'page.html') } },
  })
}

/** The package of ywasm is made for Node: here it gets its module from the server. */
const ywasmForBrowsers = {
  name: 'ywasm-for-browsers',
  transform: (code, id) => id.endsWith('ywasm/ywasm.js') ? `
    import url from './ywasm_bg.wasm?url'
    const file = await (await fetch(url)).arrayBuffer()
    const parts = { util: globalThis, path: { join: () => '' }, fs: { readFileSync: () => file } }
    const inNode = { exports: {} }
    ;((module, require, __dirname) => { ${code} })(inNode, name => parts[name], '')
    ${YWASM.map(name => `export const ${name} = inNode.exports.${name}`).join('\n')}` : undefined,
}
const YWASM = [
  'YDoc', 'YMap', 'YXmlText', 'applyUpdate', 'encodeSnapshotV1', 'encodeStateAsUpdate', 'encodeStateVector', 'snapshot',
]

/** Serves the files of some folders; pages are isolated, which makes their clock finer. */
function serve(folders) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname)
    for (const folder of folders) {
      const file = await readFile(join(folder, path)).catch(() => undefined)
      if (file === undefined) continue
      response.writeHead(200, {
        'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      })
      response.end(file)
      return
    }
    response.writeHead(404).end()
  })
  return server.listen(0, '127.0.0.1')
}
