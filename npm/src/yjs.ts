// The entry `coweave/yjs`: a Y.Doc in step with a room, for everything that is made for Yjs. The only
// entry that needs the packages yjs and y-protocols.

export { type BindOptions, type YjsBinding, type YjsBindingStatus, bindYjs } from './yjs-binding.js'
export {
  type YjsProvider,
  type YjsProviderEvents,
  type YjsProviderOptions,
  type YjsProviderStatus,
  yjsProvider,
} from './yjs-provider.js'
