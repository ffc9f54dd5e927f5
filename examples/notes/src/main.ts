// A note that everybody with the link writes together: `?room=` names it, `?relay=` says where it lives.

import { connect, type Peer, type Text, type TextPosition } from 'coweave'

import { Carets, type Cursor } from './carets'
import { showCopies } from './copies'
import { Editor } from './editor'
import { type Identity, loadIdentity, readIdentity, saveIdentity } from './identity'
import { Mirror } from './mirror'
import { offerPanel } from './panel'
import { People } from './people'
import { showStatus } from './status'

const COPIED_SHOWN_MS = 2_000

const parameters = new URLSearchParams(location.search)
const roomName = parameters.get('room') ?? 'welcome'
const relay = parameters.get('relay') ?? location.origin.replace(/^http/, 'ws')

document.title = `${roomName} · Notes`
element('title', HTMLElement).textContent = roomName

try {
  await open()
} catch (error) {
  notice(error instanceof Error ? error.message : String(error))
}

/** Caret and selection as other Yjs editors show them, too. */
interface Places {
  readonly anchor: TextPosition
  readonly head: TextPosition
}

/** Others may run anything, so nothing of what they show is taken for granted. */
type SomebodysPeer = Peer<Record<string, unknown>>

async function open(): Promise<void> {
  const client = connect(relay)
  const room = client.room(roomName)
  const text = room.doc.text('body')
  offerPanel(client, element('inspect', HTMLButtonElement), element('panel', HTMLElement))
  const mirror = new Mirror(element('mirror', HTMLElement))
  const carets = new Carets(element('carets', HTMLElement), mirror, () =>
    room.presence.peers.flatMap(peer => cursorOf(peer, text)))
  const people = new People(element('people', HTMLElement))
  let me = loadIdentity()
  let cursor: Places | null = null

  const drawPeers = (): void => {
    people.show(me, room.presence.peers.map(identityOf))
    carets.redraw()
  }
  const showMe = (): void => room.presence.set({ name: me.name, color: me.color, cursor })

  showStatus(room, {
    connection: element('connection', HTMLElement),
    saved: element('saved', HTMLElement),
    announcer: element('announcer', HTMLElement),
  })
  room.on('storage-lost', error => notice(`This device cannot keep the note: ${error.message}`))
  showCopies(room, 'body', element('copies', HTMLElement))
  room.on('status', status => {
    if (status.state === 'stopped') notice(`The others no longer see what you write: ${status.error.message}.`)
  })
  room.presence.subscribe(drawPeers)
  editIdentity(me, changed => {
    me = changed
    showMe()
    drawPeers()
  })
  showMe()
  drawPeers()

  await room.loaded
  const area = element('text', HTMLTextAreaElement)
  area.placeholder = 'Write something. Everybody with the link sees it at once.'
  new Editor({
    area,
    mirror,
    doc: room.doc,
    text,
    visibleFrom: () => document.querySelector('header')?.getBoundingClientRect().bottom ?? 0,
    onSelect: (anchor, head) => {
      cursor = { anchor: text.position(anchor), head: text.position(head) }
      showMe()
    },
    onLayout: () => carets.redraw(),
  })
}

/** A peer of this page shows name and color directly, one of a Yjs editor inside `user`. */
function identityOf(peer: SomebodysPeer): Identity {
  return readIdentity(peer.state) ?? readIdentity(peer.state['user']) ?? { name: 'Somebody', color: '#8a8578' }
}

function cursorOf(peer: SomebodysPeer, text: Text): Cursor[] {
  const places = peer.state['cursor'] as Partial<Places> | null | undefined
  const anchor = text.resolve(places?.anchor)
  const head = text.resolve(places?.head)
  if (anchor === null || head === null) return []
  return [{ ...identityOf(peer), key: String(peer.id), anchor, head }]
}

function editIdentity(me: Identity, onChange: (me: Identity) => void): void {
  const name = element('my-name', HTMLInputElement)
  const color = element('my-color', HTMLInputElement)
  name.value = me.name
  color.value = me.color
  const change = (): void => {
    const changed = readIdentity({ name: name.value, color: color.value })
    if (changed === null) return
    saveIdentity(changed)
    onChange(changed)
  }
  name.addEventListener('input', change)
  color.addEventListener('input', change)
  name.addEventListener('blur', () => { if (name.value.trim() === '') name.value = loadIdentity().name })
  name.addEventListener('keydown', event => { if (event.key === 'Enter') name.blur() })
}

const share = element('share', HTMLButtonElement)
share.addEventListener('click', () => void copyLink())

async function copyLink(): Promise<void> {
  const link = new URL(location.href)
  link.searchParams.set('room', roomName)
  try {
    await navigator.clipboard.writeText(link.href)
    share.dataset['copied'] = ''
    element('announcer', HTMLElement).textContent = 'Link copied.'
    setTimeout(() => delete share.dataset['copied'], COPIED_SHOWN_MS)
  } catch {
    notice(`This browser does not let the page copy. The link is ${link.href}`)
  }
}

/** Says what went wrong; the first thing is the cause of the ones that follow. */
function notice(words: string): void {
  const box = element('notice', HTMLElement)
  if (!box.hidden) return
  box.textContent = words
  box.hidden = false
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`The page has no element “${id}”.`)
  return found
}
