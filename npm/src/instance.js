// One instance of the wasm module, until it traps.
import { instantiate } from './wasm.js';
/** Of no use any more once something was thrown out of it: it was left in the middle of its work. */
export class Instance {
    classes;
    #onTrap;
    /** What the module's JavaScript uses: without a hold on the instance of its own. */
    #guarded = {};
    #exports;
    #cause;
    /** `onTrap` is called once, when the instance is let go of. */
    constructor(module, onTrap) {
        this.#onTrap = onTrap;
        this.classes = instantiate(module, exports => this.#guard(exports));
    }
    #guard(exports) {
        this.#exports = exports;
        for (const [name, value] of Object.entries(exports)) {
            this.#guarded[name] = typeof value === 'function' ? this.#guardOne(name) : value;
        }
        return this.#guarded;
    }
    #guardOne(name) {
        const isCallback = /^wasm_bindgen__|_free$|^__wbindgen_destroy/.test(name);
        return (...values) => {
            const call = this.#exports?.[name];
            try {
                if (call !== undefined)
                    return call(...values);
            }
            catch (cause) {
                this.#end(cause);
            }
            // The browser and the garbage collector may still call; nobody there can do anything about it.
            if (isCallback)
                return [];
            throw this.#cause;
        };
    }
    #end(cause) {
        if (this.#exports === undefined)
            return;
        this.#cause = cause;
        this.release();
        this.#onTrap(cause);
    }
    /** Lets go of the memory. */
    release() {
        this.#exports = undefined;
        for (const [name, value] of Object.entries(this.#guarded)) {
            if (typeof value !== 'function')
                delete this.#guarded[name];
        }
        // A trap at the start leaves none.
        ;
        this.classes?.release();
    }
}
//# sourceMappingURL=instance.js.map