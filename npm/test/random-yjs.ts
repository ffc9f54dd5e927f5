// Random histories of Yjs documents with everything that can be in them.

import * as Y from 'yjs'

/** Numbers below a bound, the same ones for each seed. */
export type Random = (below: number) => number

export function randomOf(seed: number): Random {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const WORDS = ['a', 'word ', 'größer ', '😀', '\n', '"\\', 'the quick brown fox ', '\u0000\t']
const VALUES: (object | string | number | boolean | null)[] = [
  null, true, 0, -1, 64, 3e9, -(2 ** 40), 0.1, -1.5, 'text', '', '😀', [1, ['x', null]], { deep: { er: [] } },
  Uint8Array.of(1, 2, 255), { none: undefined },
]
/** What Yjs writes as JSON in version 1. */
const JSON_VALUES = [true, null, 1, -70, 1.5, 'red', { href: 'a"b', list: [1, { deep: null }] }]

/** One edit of a document, which has these types: `text`, `map`, `list` and `tree`. */
export function editYjs(doc: Y.Doc, random: Random): void {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
  const text = doc.getText('text')
  switch (random(10)) {
    case 0:
    case 1:
      text.insert(random(text.length + 1), pick(WORDS))
      break
    case 2:
      remove(text, random)
      break
    case 3:
      if (text.length > 0) text.format(random(text.length), 1, { [pick(['bold', 'link'])]: pick(JSON_VALUES) })
      break
    case 4:
      text.insertEmbed(random(text.length + 1), { image: pick(JSON_VALUES) })
      break
    case 5:
      doc.getMap('map').set(pick(['a', 'b', 'c']), random(3) === 0 ? fresh(pick, random) : pick(VALUES))
      break
    case 6:
      doc.getMap('map').delete(pick(['a', 'b', 'c']))
      break
    case 7: {
      const list = doc.getArray('list')
      if (random(3) === 0) remove(list, random)
      else list.insert(random(list.length + 1), [random(3) === 0 ? fresh(pick, random) : pick<unknown>(VALUES), 1] as string[])
      break
    }
    case 8: {
      const tree = doc.getXmlFragment('tree')
      const element = new Y.XmlElement(pick(['p', 'h1', 'li']))
      element.setAttribute('kind', pick(['x', 'y']))
      element.insert(0, [new Y.XmlText(pick(WORDS))])
      if (random(3) === 0) remove(tree, random)
      else tree.insert(random(tree.length + 1), [element])
      break
    }
    default: {
      const first = doc.getXmlFragment('tree').get(0)
      if (first instanceof Y.XmlElement) {
        first.setAttribute('kind', pick(WORDS))
        first.insert(random(first.length + 1), [new Y.XmlElement('br')])
      }
    }
  }
}

/** A new type. */
function fresh(pick: <T>(list: readonly T[]) => T, random: Random): unknown {
  switch (random(3)) {
    case 0:
      return new Y.Map([['in', pick(VALUES)]])
    case 1:
      return Y.Array.from([pick<unknown>(VALUES), 'x'] as string[])
    default:
      return new Y.Text(pick(WORDS))
  }
}

function remove(type: Y.Text | Y.Array<unknown> | Y.XmlFragment, random: Random): void {
  if (type.length === 0) return
  const at = random(type.length)
  type.delete(at, 1 + random(Math.min(4, type.length - at)))
}

/** A document that two people wrote, with so many edits; `each` is called after each of them. */
export function randomYjs(
  seed: number,
  edits: number,
  options: { readonly gc: boolean },
  each: (doc: Y.Doc) => void = () => undefined,
): Y.Doc {
  const random = randomOf(seed)
  const docs = [new Y.Doc(options), new Y.Doc(options)] as const
  for (const [at, doc] of docs.entries()) doc.clientID = 1 + random(2 ** 31) * 2 + at
  for (let edit = 0; edit < edits; edit += 1) {
    const [one, other] = random(2) === 0 ? docs : [docs[1], docs[0]]
    editYjs(one, random)
    if (random(4) === 0) Y.applyUpdate(other, Y.encodeStateAsUpdate(one, Y.encodeStateVector(other)))
    if (random(4) === 0) Y.applyUpdate(one, Y.encodeStateAsUpdate(other, Y.encodeStateVector(one)))
    each(docs[0])
  }
  Y.applyUpdate(docs[0], Y.encodeStateAsUpdate(docs[1]))
  each(docs[0])
  return docs[0]
}
