//! Random bytes from the browser.

use coweave_core::ids::ClientId;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill(bytes: &mut [u8]);
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// The seed for the machine's own generator.
pub(crate) fn seed() -> u64 {
    u64::from_le_bytes(bytes())
}

/// A client id that no other session has.
pub(crate) fn client_id() -> ClientId {
    ClientId::from_u32(u32::from_le_bytes(bytes()))
}

/// The name of one opened room in the device's store.
pub(crate) fn writer() -> String {
    format!("{:016x}", u64::from_le_bytes(bytes()))
}
