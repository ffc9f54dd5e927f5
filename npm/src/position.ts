// Positions in the forms in which they travel: JSON and bytes, both as Yjs writes them.

import { checkBytes, wrongType } from './argument.js'

/**
 * A place in a text or a sequence that moves with what is around it; plain JSON as Yjs writes it, to
 * be sent to others.
 */
export interface Position {
  /** The nested type that it is in: who made it, and by which edit; `null` for one with a name. */
  readonly type: { readonly client: number; readonly clock: number } | null
  /** The name of the type that it is in; `null` for a nested one. */
  readonly tname: string | null
  /** The neighbor that it sticks to; `null` at the beginning or the end of the type. */
  readonly item: { readonly client: number; readonly clock: number } | null
  /** To which side it sticks: below 0 to the left, and otherwise to the right. */
  readonly assoc: number
}

/** No part of a document has a name that takes more. */
const JSON_LENGTH_MAX = 1 << 20

/** Which of its parts the bytes of a position hold, by their first byte. */
const BESIDE = 0
const NAMED = 1
const NESTED = 2

/** The JSON of what is said to be a position; that of nothing when it has none. */
export function jsonOf(position: unknown): string {
  try {
    const json: unknown = typeof position === 'object' ? JSON.stringify(position) : undefined
    return typeof json === 'string' && json.length <= JSON_LENGTH_MAX ? json : 'null'
  } catch {
    return 'null'
  }
}

/**
 * A position as bytes, the same that Yjs makes with `encodeRelativePosition`: some ten of them. Throws
 * `api.wrong_type` for what is no position.
 */
export function encodePosition(position: Position): Uint8Array {
  const { item, tname, type, assoc } = Object(position) as Partial<Position>
  // A signed number of one byte: only its sign says something.
  const side = typeof assoc === 'number' && assoc < 0 ? 0x41 : 0
  if (isId(item)) return Uint8Array.of(BESIDE, ...varUint(item.client), ...varUint(item.clock), side)
  if (typeof tname === 'string') {
    const name = new TextEncoder().encode(tname)
    // A call has no place for a name of any length.
    return Uint8Array.from([NAMED, ...varUint(name.length), ...name, side])
  }
  if (isId(type)) return Uint8Array.of(NESTED, ...varUint(type.client), ...varUint(type.clock), side)
  throw wrongType('the position', 'what `position` gives', position)
}

/**
 * A position of its bytes, also those that Yjs made; `null` when they are none, because positions come
 * from others. Throws `api.wrong_type` for what is no `Uint8Array`.
 */
export function decodePosition(bytes: Uint8Array): Position | null {
  const rest = checkBytes(bytes, 'the position').values()
  const [kind, first] = [readVarUint(rest), readVarUint(rest)]
  if (kind === undefined || first === undefined) return null
  const position = { type: null, tname: null, item: null }
  if (kind === NAMED) {
    const name = [...rest]
    const assoc = assocOf(name.splice(first)[0])
    try {
      const tname = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(name))
      return name.length === first ? { ...position, tname, assoc } : null
    } catch {
      return null
    }
  }
  const clock = readVarUint(rest)
  if (clock === undefined || ![BESIDE, NESTED].includes(kind)) return null
  const id = { client: first, clock }
  const { value } = rest.next() as { readonly value?: number }
  return { ...position, ...kind === BESIDE ? { item: id } : { type: id }, assoc: assocOf(value) }
}

function isId(id: unknown): id is { readonly client: number; readonly clock: number } {
  const { client, clock } = Object(id) as Record<string, unknown>
  return [client, clock].every(number => Number.isSafeInteger(number) && (number as number) >= 0)
}

/** Old versions of Yjs wrote none. */
function assocOf(byte: number | undefined): number {
  return byte !== undefined && (byte & 0x40) !== 0 ? -1 : 0
}

/** Seven bits to a byte, the lowest first. */
function varUint(number: number): number[] {
  const bytes: number[] = []
  let rest = number
  // Client ids may have 53 bits, and bitwise operators take 32.
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push(rest % 0x80 | 0x80)
  return [...bytes, rest]
}

function readVarUint(bytes: Iterator<number>): number | undefined {
  let number = 0
  for (let unit = 1; unit <= Number.MAX_SAFE_INTEGER; unit *= 0x80) {
    const { value, done } = bytes.next() as { readonly value?: number; readonly done?: boolean }
    if (done === true || value === undefined) return undefined
    number += (value & 0x7f) * unit
    if (value < 0x80) return Number.isSafeInteger(number) ? number : undefined
  }
  return undefined
}
