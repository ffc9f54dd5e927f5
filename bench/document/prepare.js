// States that the workloads begin with, each in the format of its library.

import { writeFile } from 'node:fs/promises'

const PARAGRAPHS = 3_000

/** Types the history, as quickly as the library can, and writes down what it is in the middle and at the end. */
export async function prepare(library, { patches, text }, folder) {
  const document = await library.open()
  const { keysPerEdit } = library
  const middle = Math.floor(patches.length / 2 / keysPerEdit) * keysPerEdit
  let half
  for (let at = 0; at < patches.length; at += keysPerEdit) {
    if (at === middle) half = { mark: document.mark(), state: document.encode() }
    document.together(transaction => {
      for (const [index, removed, inserted] of patches.slice(at, at + keysPerEdit)) {
        if (removed > 0) document.remove(index, removed, transaction)
        if (inserted !== '') document.insert(index, inserted, transaction)
      }
    })
  }
  if (document.read() !== text) throw new Error(`${library.title} has another text`)
  const write = (name, bytes) => writeFile(`${folder}/${library.format}.${name}`, bytes)
  await write('state', document.encode())
  await write('half', half.state)
  await write('difference', document.encodeSince(half.mark))
  document.dispose()
  if (library.can.includes('xml')) {
    const tree = await library.open()
    tree.fillTree(Array.from({ length: PARAGRAPHS }, (_, index) => (
      { id: `paragraph ${index}`, content: `This is what paragraph ${index} says, and it says no more.` }
    )))
    await write('paragraphs', tree.encode())
  }
}
