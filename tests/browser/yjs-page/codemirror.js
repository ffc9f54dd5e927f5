// CodeMirror 6 with y-codemirror.next, as its documentation shows it.

import { standardKeymap } from '@codemirror/commands'
import { EditorState } from '@codemirror/state'
import { EditorView, keymap } from '@codemirror/view'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import * as Y from 'yjs'

export function openCodeMirror({ place, doc, awareness }) {
  const text = doc.getText('codemirror')
  const undoManager = new Y.UndoManager(text)
  const state = EditorState.create({
    doc: text.toString(),
    extensions: [
      keymap.of([...yUndoManagerKeymap, ...standardKeymap]),
      EditorView.lineWrapping,
      yCollab(text, awareness, { undoManager }),
    ],
  })
  const view = new EditorView({ state, parent: place })
  return {
    type: text,
    content: () => view.state.doc.toString(),
    isAtEnd: () => view.state.selection.main.head === view.state.doc.length,
    destroy: () => view.destroy(),
  }
}
