// The page “Coming from Yjs” has an answer for each public name of the Yjs that is installed.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test from 'node:test'
import * as Y from 'yjs'

const page = await readFile(new URL('../../docs/guide/from-yjs.md', import.meta.url), 'utf8')

/** What no app calls, by the reason why. Whatever begins with `_` is private as well. */
const internal = {
  'structs of the store, and how they are found': [
    'AbstractStruct', 'Item', 'GC', 'Skip', 'ID', 'ContentAny', 'ContentBinary', 'ContentDeleted', 'ContentDoc',
    'ContentEmbed', 'ContentFormat', 'ContentJSON', 'ContentString', 'ContentType', 'createID', 'compareIDs', 'getItem',
    'getItemCleanStart', 'getItemCleanEnd', 'getState', 'getTypeChildren', 'findIndexSS', 'store', 'tryGc',
  ],
  'sets of deleted structs': [
    'createDeleteSet', 'createDeleteSetFromStructStore', 'equalDeleteSets', 'mergeDeleteSets', 'isDeleted',
    'iterateDeletedStructs', 'ds', 'sv',
  ],
  'encoders and decoders of single columns': [
    'UpdateDecoderV1', 'UpdateDecoderV2', 'UpdateEncoderV1', 'UpdateEncoderV2',
  ],
  'how an undo manager listens': ['afterTransactionHandler'],
  'where permanent user data lies': ['yusers', 'clients', 'dss'],
}
const known = new Set(Object.values(internal).flat())

/** The words in the left columns of some sections: what the page answers there. Exports stand with their `Y.` */
function answered(...sections: readonly string[]): Set<string> {
  const words = new Set<string>()
  for (const [, title = '', text = ''] of page.matchAll(/^## (.*)\n((?:(?!## ).*\n)*)/gm)) {
    if (sections.length > 0 && !sections.includes(title)) continue
    for (const [, cell = ''] of text.matchAll(/^\| (.*?) \| /gm)) {
      const code = [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code).join(' ')
      for (const [word] of code.matchAll(/(?:\bY\.)?[\w-]+/g)) words.add(word)
    }
  }
  return words
}

function unanswered(names: Iterable<string>, words: ReadonlySet<string>): string[] {
  const isPublic = (name: string): boolean => !name.startsWith('_') && name !== 'constructor' && !known.has(name)
  return [...new Set(names)].filter(name => isPublic(name) && !words.has(name))
}

/** What an object and its classes have. */
function membersOf(object: object): string[] {
  const names = Object.getOwnPropertyNames(object)
  const prototype = Object.getPrototypeOf(object) as object | null
  return prototype === null || prototype === Object.prototype ? names : [...names, ...membersOf(prototype)]
}

test('the page names every export of Yjs', () => {
  const exports = Object.keys(Y).filter(name => !known.has(name))
  assert.ok(exports.length > 50)
  assert.deepEqual(unanswered(exports.map(name => `Y.${name}`), answered()), [])
})

test('the page names every member of the classes of Yjs, in their sections', () => {
  const doc = new Y.Doc()
  const element = new Y.XmlElement('p')
  doc.getXmlFragment('xml').insert(0, [element, new Y.XmlText('a')])
  const text = doc.getText('text')
  const told: object[][] = []
  text.observe((event, transaction) => told.push([event, event.changes, transaction]))
  text.insert(0, 'a')
  const [objects = assert.fail()] = told
  const types = ['Types', 'Events']
  const expected: [object, ...string[]][] = [
    [doc, 'Documents', 'Events'],
    [text, ...types],
    [doc.getMap('map'), ...types],
    [doc.getArray('array'), ...types],
    [doc.getXmlFragment('xml'), ...types],
    [element, ...types],
    [doc.getXmlFragment('xml').get(1), ...types],
    [new Y.UndoManager(text), 'Undo'],
    ...objects.map((object): [object, string] => [object, 'Events']),
    [Y.createRelativePositionFromTypeIndex(text, 0), 'Positions'],
    [Y.snapshot(doc), 'Versions'],
    [new Y.PermanentUserData(doc), 'Documents'],
  ]
  for (const [object, ...sections] of expected) {
    assert.deepEqual(unanswered(membersOf(object), answered(...sections)), [], object.constructor.name)
  }
})

test('the page names every event of Yjs', async () => {
  const source = await readFile(new URL(import.meta.resolve('yjs')), 'utf8')
  const events = [...source.matchAll(/\.emit\('([\w-]+)'/g)].map(([, name = '']) => name)
  assert.ok(events.length > 10)
  assert.deepEqual(unanswered(events, answered('Events', 'Undo')), [])
})

test('what is called internal is there, and not on the page', () => {
  const words = answered()
  const isThere = (name: string): boolean => name in Y || /^[a-z]/.test(name)
  assert.deepEqual([...known].filter(name => !isThere(name) || words.has(name) || words.has(`Y.${name}`)), [])
})
