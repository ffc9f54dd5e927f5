// Serves a folder and perhaps pages beside it, so that a page can be opened while the relay, which usually serves it, is dead.

import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
}

export async function serveFolder(folder, pages = {}) {
  const server = createServer((request, response) => void answer(folder, pages, request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function answer(folder, pages, request, response) {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (pathname in pages) {
    response.writeHead(200, { 'content-type': TYPES['.html'] }).end(pages[pathname])
    return
  }
  const path = join(folder, normalize(pathname === '/' ? '/index.html' : pathname))
  const isFile = await stat(path).then(entry => entry.isFile(), () => false)
  if (!isFile) {
    response.writeHead(404).end()
    return
  }
  response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' })
  createReadStream(path).pipe(response)
}
