// The history that is typed: a recorded one where it is there, or else one of the project's own generator.

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

import { editsUpTo } from '../client/app/edits.js'

const TRACE = 'automerge-paper'
const GENERATED_LENGTH = 100_000

/** Single patches `[index, removed, inserted]`, and the text they end in. */
export function readHistory(keysMax) {
  const folder = process.env.COWEAVE_TRACES ?? fileURLToPath(new URL('../../../shared/traces/', import.meta.url))
  const path = `${folder}/${TRACE}.json.gz`
  const [title, all] = existsSync(path) ? [TRACE, recorded(path)] : ['generated history', generated()]
  const patches = all.slice(0, keysMax)
  return { title, patches, text: play(patches) }
}

function recorded(path) {
  const { txns } = JSON.parse(gunzipSync(readFileSync(path)).toString())
  return txns.flatMap(({ patches }) => patches)
}

function generated() {
  const runs = [...editsUpTo(GENERATED_LENGTH, { runWords: 12, isPasted: false })]
  return runs.flat().map(({ index, insert = '', delete: removed = 0 }) => [index, removed, insert])
}

/** In pieces, because cutting one long string at each key takes minutes. */
function play(patches) {
  const pieces = ['']
  for (const [index, removed, inserted] of patches) {
    let left = index
    let at = 0
    while (left > pieces[at].length) left -= pieces[at++].length
    pieces[at] = pieces[at].slice(0, left) + inserted + pieces[at].slice(left)
    for (let gone = removed, from = left + inserted.length; gone > 0; at += 1, from = 0) {
      const piece = pieces[at]
      pieces[at] = piece.slice(0, from) + piece.slice(from + gone)
      gone -= Math.min(gone, piece.length - from)
    }
    const grown = pieces.findIndex(piece => piece.length > 2_000)
    if (grown >= 0) pieces.splice(grown, 1, pieces[grown].slice(0, 1_000), pieces[grown].slice(1_000))
  }
  return pieces.join('')
}
