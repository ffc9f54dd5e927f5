// ProseMirror with y-prosemirror, as its documentation shows it.

import { baseKeymap, toggleMark } from 'prosemirror-commands'
import { keymap } from 'prosemirror-keymap'
import { schema } from 'prosemirror-schema-basic'
import { EditorState } from 'prosemirror-state'
import { EditorView } from 'prosemirror-view'
import { initProseMirrorDoc, redo, undo, yCursorPlugin, ySyncPlugin, yUndoPlugin } from 'y-prosemirror'

export function openProseMirror({ place, doc, awareness }) {
  const type = doc.getXmlFragment('prosemirror')
  const { doc: content, mapping } = initProseMirrorDoc(type, schema)
  const state = EditorState.create({
    doc: content,
    schema,
    plugins: [
      ySyncPlugin(type, { mapping }),
      yCursorPlugin(awareness),
      yUndoPlugin(),
      keymap({ 'Mod-z': undo, 'Mod-y': redo, 'Mod-Shift-z': redo, 'Mod-b': toggleMark(schema.marks.strong) }),
      keymap(baseKeymap),
    ],
  })
  const view = new EditorView(place, { state })
  return {
    type,
    content: () => view.state.doc.textBetween(0, view.state.doc.content.size, '\n'),
    isAtEnd: () => view.state.selection.head === view.state.doc.content.size - 1,
    destroy: () => view.destroy(),
  }
}
