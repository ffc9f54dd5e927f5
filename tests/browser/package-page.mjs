// A page that has the built package and nothing else: `window.coweave`, `window.panel`.

import { createReadStream } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const packageFolder = fileURLToPath(new URL('../../npm', import.meta.url))
const TYPES = { js: 'text/javascript', wasm: 'application/wasm' }
const PAGE = `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>page</title>
<link rel="icon" href="data:,">
<style>:root { color-scheme: light dark }</style>
<textarea aria-label="Note"></textarea>
<script type="module">
  import * as coweave from '/dist/web.js'
  import * as panel from '/dist/panel.js'
  Object.assign(window, { coweave, panel })
</script>`

/** Serves the page and the package; answers with the address and how to end it. */
export async function servePackage() {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    if (pathname === '/') {
      response.setHeader('content-type', 'text/html').end(PAGE)
      return
    }
    const file = createReadStream(`${packageFolder}${pathname}`)
    file.on('open', () => response.setHeader('content-type', TYPES[pathname.split('.').at(-1)] ?? 'text/plain'))
    file.on('error', () => response.writeHead(404).end())
    file.pipe(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Opens the page in a context, and a room of a client in it: `window.client`, `window.room`. */
export async function openPage(context, { url, relay, options = {} }) {
  const page = await context.newPage()
  await page.goto(url)
  await page.waitForFunction(() => 'coweave' in window)
  await page.evaluate(async ([address, given]) => {
    window.client = window.coweave.connect(address, given)
    window.room = window.client.room('notes/today')
    await window.room.loaded
  }, [relay, options])
  return page
}
