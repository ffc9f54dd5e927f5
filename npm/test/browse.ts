// A browser for a test, and a server with a page that has the package.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { type BrowserContext, chromium } from 'playwright-core'

const BROWSER = process.env['COWEAVE_CHROMIUM'] ?? '/usr/bin/chromium'
export const needsBrowser: { readonly skip: string | false } = {
  skip: !existsSync(BROWSER) && `there is no browser at ${BROWSER}: NOT TESTED`,
}

const page = `<!doctype html><script type="module">
  import * as coweave from '/dist/web.js'
  globalThis.coweave = coweave
</script>`

const types: Readonly<Record<string, string>> = {
  js: 'text/javascript',
  wasm: 'application/wasm',
}

/** A browser with an empty profile, and the address of a page that has the package. */
export async function browse(t: TestContext): Promise<{ context: BrowserContext; address: string }> {
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    if (path === '/') {
      response.setHeader('content-type', 'text/html').end(page)
      return
    }
    // What lies in this folder, too, is another copy of the package to the browser.
    readFile(new URL(`..${path.replace(/^\/copy/, '')}`, import.meta.url)).then(
      content => {
        const type = types[path.split('.').at(-1) ?? ''] ?? 'text/plain'
        response.setHeader('content-type', type).end(content)
      },
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox'] })
  t.after(async () => {
    await browser.close()
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { context: await browser.newContext(), address: `http://127.0.0.1:${String(port)}/` }
}
