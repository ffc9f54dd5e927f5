// Loading of the wasm module: once, and again after a failure.
import { loadError } from './error.js';
/** A loader with a source of its own. */
export function createLoader(find) {
    let loading;
    const load = async (source) => compile(source ?? (await find()));
    const module = (source) => {
        loading ??= load(source).catch((cause) => {
            loading = undefined;
            throw loadError(cause);
        });
        return loading;
    };
    return {
        module: () => module(),
        ready: async (source) => {
            await module(source);
        },
    };
}
async function compile(source) {
    if (typeof source !== 'string' && !(source instanceof URL))
        return WebAssembly.compile(source);
    const response = await fetch(source);
    if (!response.ok)
        throw new Error(`${response.url} answers ${String(response.status)}`);
    // Browsers compile while they load, but only what is called by its proper type.
    const isTyped = response.headers.get('Content-Type') === 'application/wasm';
    return isTyped
        ? WebAssembly.compileStreaming(response)
        : WebAssembly.compile(await response.arrayBuffer());
}
//# sourceMappingURL=loader.js.map