// The only file that knows the generated module. Its classes are described here once more, so that
// the package's own types do not depend on generated ones; the compiler compares the two.
import { instantiate as instantiateModule } from '../wasm/coweave.js';
/** Makes an instance; its exports are used as `protect` gives them back. */
export const instantiate = instantiateModule;
//# sourceMappingURL=wasm.js.map