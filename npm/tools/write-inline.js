// Writes the wasm file once more as a JavaScript module, for the entry `coweave/inline`.
import { readFile, writeFile } from 'node:fs/promises'

const folder = new URL('../wasm/', import.meta.url)
const wasm = await readFile(new URL('coweave_bg.wasm', folder)).catch(() => {
  console.error('wasm/coweave_bg.wasm is missing: run `cargo xtask wasm` first')
  process.exit(1)
})
const code = `/** The wasm module in base64. */\nexport const base64 = '${wasm.toString('base64')}'\n`
await writeFile(new URL('coweave_inline.js', folder), code)
await writeFile(
  new URL('coweave_inline.d.ts', folder),
  '/** The wasm module in base64. */\nexport declare const base64: string\n',
)
