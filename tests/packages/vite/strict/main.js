// A note in a React app as the guide has it, where StrictMode mounts everything twice in development.
import { connect } from 'coweave'
import { StrictMode, createElement, useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'

globalThis.mounts = 0

function mount(client, name, show) {
  globalThis.mounts += 1
  const room = client.room(name)
  room.loaded.then(() => {
    const body = room.doc.text('body')
    body.subscribe(() => show(body.toString()))
    show(body.toString())
  }, () => undefined)
  return () => room.dispose()
}

function Note({ client, name }) {
  const [text, setText] = useState('nothing yet')
  useEffect(() => mount(client, name, setText), [client, name])
  return createElement('p', { id: 'note' }, text)
}

globalThis.openNote = async relay => {
  const client = connect(relay)
  const root = createRoot(document.querySelector('main'))
  const unmount = () => root.unmount()
  root.render(createElement(StrictMode, null, createElement(Note, { client, name: 'notes/today' })))
  Object.assign(globalThis, { client, unmount })
}
