// A note: the server renders it empty, the browser opens it.
'use client'
import { connect } from 'coweave'
import { useEffect, useState } from 'react'

export function Note() {
  const [text, setText] = useState('nothing yet')
  useEffect(() => {
    globalThis.openNote = async relay => {
      const room = connect(relay).room('notes/today')
      await room.synced
      const body = room.doc.text('body')
      body.subscribe(() => setText(body.toString()))
      return body
    }
  }, [])
  return <p id="note">{text}</p>
}
