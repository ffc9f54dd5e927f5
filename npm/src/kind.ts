// What shared types there are, by the numbers that Yjs gives them in updates.

export const Kind = {
  array: 0,
  map: 1,
  text: 2,
  xmlElement: 3,
  xmlFragment: 4,
  xmlText: 6,
} as const

export type Kind = (typeof Kind)[keyof typeof Kind]

/** What a shared type is. */
export type KindName = keyof typeof Kind

/** The names of the kinds. */
export const kindNames = Object.fromEntries(
  Object.entries(Kind).map(([name, kind]) => [kind, name]),
) as Readonly<Record<Kind, KindName>>
