// Measures a wasm module and checks it: `node measure.mjs <module.wasm> [budget.json]`.
//
// The module may not import from `env` (that would be a C function nobody provides), and its
// compressed sizes have to stay within the budget of a module, when one is given.

import { readFileSync } from 'node:fs'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const [modulePath, budgetPath] = process.argv.slice(2)
const bytes = readFileSync(modulePath)
const budget = budgetPath === undefined ? {} : JSON.parse(readFileSync(budgetPath, 'utf8')).module
const sizes = {
  raw: bytes.length,
  gzip: gzipSync(bytes, { level: 9 }).length,
  brotli: brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length,
}

const failures = []
const strangers = WebAssembly.Module.imports(new WebAssembly.Module(bytes))
  .filter(({ module }) => module === 'env')
  .map(({ name }) => name)
if (strangers.length > 0) {
  failures.push(`the module imports from env, which no browser has: ${strangers.join(', ')}`)
}
for (const [name, size] of Object.entries(sizes)) {
  const limit = budget[name]
  console.log(`${name.padEnd(6)} ${size.toLocaleString('en').padStart(9)} bytes` +
    (limit === undefined ? '' : ` of at most ${limit.toLocaleString('en')}`))
  if (limit !== undefined && size > limit) {
    failures.push(`${name} size is over its budget: make the module smaller, or raise ${budgetPath} with a reason`)
  }
}
for (const failure of failures) console.error(failure)
process.exitCode = failures.length > 0 ? 1 : 0
