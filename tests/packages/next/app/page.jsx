// A page that the server renders for each request, with something of the package in it.
import { connect } from 'coweave'
import { Note } from './note.jsx'

export const dynamic = 'force-dynamic'

export default function Page() {
  return <main><h1>{typeof connect}</h1><Note /></main>
}
