// What all entries of the package have in common.
export {} from './array.js';
export {} from './client.js';
export {} from './copies.js';
export {} from './debug.js';
export {} from './delta.js';
export {} from './disposer.js';
export {} from './doc.js';
export { CoweaveError } from './error.js';
export {} from './event-log.js';
export {} from './figures.js';
export {} from './leave-guard.js';
export {} from './loader.js';
export {} from './map.js';
export { newArray, newMap, newText, newXmlElement, newXmlFragment, newXmlText, } from './new.js';
export {} from './presence.js';
export {} from './room.js';
export {} from './room-session.js';
export {} from './session.js';
export {} from './shared.js';
export {} from './text.js';
export {} from './xml.js';
export {} from './view.js';
//# sourceMappingURL=index.js.map