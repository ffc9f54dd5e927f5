// Quill with y-quill, as its documentation shows it.

import 'quill/dist/quill.snow.css'

import Quill from 'quill'
import QuillCursors from 'quill-cursors'
import { QuillBinding } from 'y-quill'
import * as Y from 'yjs'

Quill.register('modules/cursors', QuillCursors)

export function openQuill({ place, doc, awareness }) {
  const type = doc.getText('quill')
  const quill = new Quill(place, {
    modules: { cursors: { transformOnTextChange: true }, toolbar: false, history: { userOnly: true } },
    theme: 'snow',
  })
  const undoManager = new Y.UndoManager(type)
  const binding = new QuillBinding(type, quill, awareness)
  undoManager.addTrackedOrigin(binding)
  quill.keyboard.addBinding({ key: 'z', shortKey: true }, () => undoManager.undo())
  // Quill's own undo comes first otherwise.
  quill.keyboard.bindings.z.reverse()
  return {
    type,
    content: () => quill.getText().replace(/\n$/, ''),
    isAtEnd: () => quill.getSelection()?.index === quill.getLength() - 1,
    destroy: () => binding.destroy(),
  }
}
