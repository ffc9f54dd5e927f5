// An editor that knows of Yjs only, bound to a room: `?editor=…&relay=…&room=…&name=…&color=…`.

import { connect } from 'coweave'
import { yjsProvider } from 'coweave/yjs'
import * as Y from 'yjs'

import { openCodeMirror } from './codemirror.js'
import { openProseMirror } from './prosemirror.js'
import { openQuill } from './quill.js'

const asked = Object.fromEntries(new URLSearchParams(location.search))
const place = document.querySelector('#editor')
const editors = { codemirror: openCodeMirror, prosemirror: openProseMirror, quill: openQuill }

const client = connect(asked.relay)
const room = client.room(asked.room)
const provider = yjsProvider(room)
const { doc, awareness } = provider
awareness.setLocalStateField('user', { name: asked.name, color: asked.color })
// As apps do that keep a document on the device: the editor is there when the document is.
await room.loaded
const editor = editors[asked.editor]({ place, doc, awareness })
Object.assign(window, { Y, app: { client, room, provider, doc, awareness, ...editor } })
