// The two stacks that are compared: how their page is built and served, and their servers.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'

import { build } from 'vite'

import { Relay } from '../../tests/harness/relay.mjs'

const app = fileURLToPath(new URL('app', import.meta.url))
const peers = fileURLToPath(new URL('../peers', import.meta.url))
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' }

/** Our relay. */
class CoweaveServer {
  #relay = new Relay()

  async start() {
    await this.#relay.start()
    return this.#relay.wsUrl
  }

  async stop() {
    await this.#relay.dispose()
  }
}

/** The server that comes with y-websocket; it keeps documents in memory. */
class YServer {
  #child

  async start() {
    const port = await freePort()
    this.#child = spawn('node', [join(peers, 'node_modules/@y/websocket-server/src/server.js')], {
      env: { ...process.env, HOST: '127.0.0.1', PORT: String(port) },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(this.#child.stdout, 'data')
    this.#child.stdout.resume()
    return `ws://127.0.0.1:${port}`
  }

  async stop() {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

async function freePort() {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

export const STACKS = [
  { name: 'coweave', title: 'coweave', makeServer: () => new CoweaveServer() },
  { name: 'yjs', title: 'yjs + y-indexeddb + y-websocket', makeServer: () => new YServer() },
]

/** A stack whose page is built, served, and measured in bytes. */
export class RunningStack {
  static async start({ name, title, makeServer }, folder) {
    const stack = new RunningStack()
    stack.name = name
    stack.title = title
    const files = await buildPage(name, join(folder, name))
    stack.bytes = sum([...files].filter(([path]) => !path.endsWith('.html')).map(([, file]) => file))
    stack.page = serve(name, files)
    await once(stack.page, 'listening')
    stack.server = makeServer()
    stack.serverUrl = await stack.server.start()
    return stack
  }

  /** The page's address for a room. */
  url(room, isEdited = false) {
    const query = new URLSearchParams({ server: this.serverUrl, room, ...(isEdited && { edited: '' }) })
    return `http://127.0.0.1:${this.page.address().port}/?${query}`
  }

  async stopServer() {
    await this.server?.stop()
    this.server = undefined
  }

  async stop() {
    await this.stopServer()
    this.page.closeAllConnections()
    this.page.close()
  }
}

/** Builds a page as apps do, and answers with its files: raw, and as a server would send them. */
async function buildPage(name, outDir) {
  await build({
    root: app,
    configFile: false,
    logLevel: 'error',
    build: { outDir, emptyOutDir: true, target: 'es2022', rollupOptions: { input: join(app, `${name}.html`) } },
  })
  const paths = (await readdir(outDir, { recursive: true })).filter(path => extname(path) in TYPES)
  return new Map(await Promise.all(paths.map(async path => {
    const raw = await readFile(join(outDir, path))
    const [gzipped, brotli] = await Promise.all([promisify(gzip)(raw, { level: 9 }), promisify(brotliCompress)(raw)])
    return [`/${path}`, { raw, gzip: gzipped, brotli }]
  })))
}

function sum(files) {
  const total = kind => files.reduce((bytes, file) => bytes + file[kind].length, 0)
  return { raw: total('raw'), gzip: total('gzip'), brotli: total('brotli') }
}

/** As in production: compressed, and kept by the browser for good where the name has a hash. */
function serve(name, files) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    const path = pathname === '/' ? `/${name}.html` : pathname
    const file = files.get(path)
    if (file === undefined) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, {
      'content-type': TYPES[extname(path)],
      'content-encoding': 'br',
      'cache-control': path.endsWith('.html') ? 'no-cache' : 'public, max-age=31536000, immutable',
    })
    response.end(file.brotli)
  })
  return server.listen(0, '127.0.0.1')
}
