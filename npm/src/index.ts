// What all entries of the package have in common.

export { type ArrayChange, type SharedArray } from './array.js'
export { type Client, type ClientEvents, type ConnectOptions } from './client.js'
export { type SetAsideCopy } from './copies.js'
export { type DebugRoom, type DebugSnapshot } from './debug.js'
export {
  type ChangeSource,
  type DeepChange,
  type Delta,
  type Formats,
  type KeyChange,
  type SequenceDelta,
} from './delta.js'
export { type Disposer } from './disposer.js'
export { type Doc } from './doc.js'
export { CoweaveError, type ErrorCode, type ErrorDetails, type Fault } from './error.js'
export { type LoggedEvent } from './event-log.js'
export {
  type ConnectionFigures,
  type ConnectionState,
  type RoomFigures,
  type TimedError,
  type Traffic,
} from './figures.js'
export { type LeaveGuardOptions } from './leave-guard.js'
export { type Ready, type WasmSource } from './loader.js'
export { type MapChange, type SharedMap } from './map.js'
export {
  type Entries,
  type Input,
  type New,
  newArray,
  newMap,
  newText,
  newXmlElement,
  newXmlFragment,
  newXmlText,
} from './new.js'
export { type DocParts } from './parts.js'
export { type PastDoc } from './past.js'
export { type Peer, type Presence } from './presence.js'
export { type Room, type RoomOptions } from './room.js'
export {
  type RefusedEdit,
  type RoomEvents,
  type RoomStatus,
  type RoomStorage,
  type Saved,
} from './room-events.js'
export { type WebSocketConstructor } from './session.js'
export { type KindName } from './kind.js'
export { type Position, decodePosition, encodePosition } from './position.js'
export { type SharedNode, type SharedSequence } from './shared.js'
export { type Text, type TextChange, type TextPosition } from './text.js'
export { type Undo, type UndoEvent, type UndoEvents, type UndoItem, type UndoOptions } from './undo.js'
export { type UpdateInfo, type UpdateListener } from './updates.js'
export {
  type XmlChange,
  type XmlChild,
  type XmlElement,
  type XmlFragment,
  type XmlJson,
  type XmlParent,
  type XmlText,
} from './xml.js'
export { type Role, type SavedTier } from './view.js'
