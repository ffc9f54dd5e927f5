// A document rebuilt from nothing but the changes that listeners are told.

import assert from 'node:assert/strict'

import { canon } from './compare.mjs'
import { ROOTS, coweave } from './sides.mjs'

/** Follows one part of a document, and everything inside. */
class Part {
  constructor(node) {
    this.kind = coweave.kind(node)
    this.name = node.name
    /** Of a sequence: its entries. Of a text: characters and what is embedded, with formats. */
    this.items = []
    this.entries = new Map()
  }
}

export class Mirror {
  #parts = new Map()
  #error
  #roots
  /** What came since the last look, as listeners get it. */
  heard = []

  constructor(doc) {
    this.#roots = Object.keys(ROOTS).map(name => {
      const node = coweave.root(doc, name)
      node.subscribeDeep(changes => {
        this.heard.push({ name, changes })
        try {
          this.#follow(node, changes)
        } catch (error) {
          // Thrown here, it would be told to the console only.
          this.#error ??= error
        }
      })
      this.#add(node)
      return node
    })
  }

  /** Compares it with the document. */
  check() {
    if (this.#error !== undefined) throw this.#error
    for (const node of this.#roots) assert.equal(this.#write(node), canon(coweave, node), 'the mirror')
  }

  /** Takes in a part that came as a whole. */
  #add(node) {
    const part = new Part(node)
    this.#parts.set(node, part)
    if (part.kind === 'map' || part.kind === 'element') {
      for (const [key, value] of Object.entries(coweave.entries(node))) part.entries.set(key, this.#take(value))
    }
    if (part.kind === 'text' || part.kind === 'xmlText') this.#edit(part, coweave.delta(node))
    else if (part.kind !== 'map') part.items = coweave.items(node).map(item => this.#take(item))
  }

  #take(value) {
    if (coweave.kind(value) !== null && !this.#parts.has(value)) this.#add(value)
    return value
  }

  #follow(root, changes) {
    for (const { target, delta, keys } of changes) {
      const part = this.#parts.get(target)
      assert.ok(part !== undefined, 'a change of a part that nobody told of')
      this.#edit(part, delta)
      for (const [key, { after, action }] of keys) {
        assert.equal(part.entries.has(key) ? (action === 'delete' ? 'delete' : 'update') : 'add', action, `the action for ${key}`)
        if (action === 'delete') part.entries.delete(key)
        else part.entries.set(key, this.#take(after))
      }
    }
    for (const { target, path } of changes) {
      const found = path.reduce((node, segment) => {
        const part = this.#parts.get(node)
        return typeof segment === 'string' ? part.entries.get(segment) : part.items[segment]?.value ?? part.items[segment]
      }, root)
      assert.equal(found, target, `the path ${JSON.stringify(path)}`)
    }
  }

  #edit(part, delta) {
    const isText = part.kind === 'text' || part.kind === 'xmlText'
    let at = 0
    for (const { insert, retain, delete: gone, attributes } of delta) {
      if (insert !== undefined) {
        const values = typeof insert === 'string' ? insert.split('') : isText ? [insert] : insert
        const items = values.map(value => {
          this.#take(value)
          return isText ? { value, formats: { ...attributes } } : value
        })
        part.items.splice(at, 0, ...items)
        at += items.length
      } else if (retain !== undefined) {
        assert.ok(at + retain <= part.items.length, 'a step behind the end')
        for (let index = at; index < at + retain && attributes !== undefined; index += 1) {
          const { formats } = part.items[index]
          for (const [name, value] of Object.entries(attributes)) {
            if (value === null) delete formats[name]
            else formats[name] = value
          }
        }
        at += retain
      } else {
        assert.ok(at + gone <= part.items.length, 'a step behind the end')
        part.items.splice(at, gone)
      }
    }
  }

  #write(node) {
    const side = {
      ...coweave,
      kind: value => this.#parts.get(value)?.kind ?? null,
      name: value => this.#parts.get(value).name,
      items: value => this.#parts.get(value).items,
      entries: value => Object.fromEntries(this.#parts.get(value).entries),
      delta: value => this.#parts.get(value).items.map(({ value, formats }) => ({ insert: value, attributes: formats })),
    }
    return canon(side, node)
  }
}
