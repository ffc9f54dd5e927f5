//! How the tabs of a browser reach each other: channels to talk, and locks that tell who is alive
//! and who leads.

use std::cell::RefCell;
use std::rc::Weak;

use coweave_core::client::tabs::Input;
use coweave_core::ids::{SessionKey, TabId};
use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, BroadcastChannel, MessageEvent, Storage};

use crate::device_rows::object;
use crate::random;
use crate::shell::Shell;

#[wasm_bindgen]
extern "C" {
    type LockManager;
    /// See the Web Locks API; the callback's promise is how long the lock is held.
    #[wasm_bindgen(method, catch)]
    fn request(
        this: &LockManager,
        name: &str,
        options: &JsValue,
        callback: &JsValue,
    ) -> Result<Promise, JsValue>;
}

/// Where the key of the browser lies in its `localStorage`.
const SESSION: &str = "coweave.session";

/// The key that all tabs of the browser show, or a new one where nothing can be kept.
pub(crate) fn session_key() -> SessionKey {
    shared_key().unwrap_or_else(|_no_storage| random::session_key())
}

fn shared_key() -> Result<SessionKey, JsValue> {
    let storage = Reflect::get(&js_sys::global(), &"localStorage".into())?;
    let storage = storage.dyn_into::<Storage>()?;
    if let Some(key) = storage.get_item(SESSION)?.and_then(|text| read_key(&text)) {
        return Ok(key);
    }
    let key = random::session_key();
    let digits = key.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let text: String = digits.map(|digit| char::from(b'a' + digit)).collect();
    storage.set_item(SESSION, &text)?;
    Ok(key)
}

/// Sixteen bytes, as letters from `a` to `p`.
fn read_key(text: &str) -> Option<SessionKey> {
    let mut key = [0; 16];
    let digits = text.as_bytes();
    if digits.len() != 32 || !digits.iter().all(|digit| (b'a'..=b'p').contains(digit)) {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | (digit - b'a'));
    }
    Some(SessionKey(key))
}

/// This tab among the others. Dropping it leaves them.
pub(crate) struct BrowserTabs {
    /// The channel that all hear, and the lock of the leader.
    name: String,
    shell: Weak<Shell>,
    locks: LockManager,
    /// To all, to this tab, and to each of the others.
    hall: BroadcastChannel,
    desk: BroadcastChannel,
    desks: RefCell<Vec<(TabId, BroadcastChannel)>>,
    /// Ends requests for locks that were not granted.
    waiting: AbortController,
    /// Ends the locks that were.
    release: Function,
    _on_message: Closure<dyn Fn(MessageEvent)>,
    _on_lock: [Closure<dyn Fn() -> Promise>; 2],
}

impl BrowserTabs {
    /// The tabs with the same name; `None` where there is no page, or no way to reach them.
    pub(crate) fn find(name: String, own: TabId, shell: Weak<Shell>) -> Option<Self> {
        let global = js_sys::global();
        let get = |object: &JsValue, key: &str| {
            Reflect::get(object, &key.into()).ok().filter(|value| !value.is_undefined())
        };
        get(&global, "document")?;
        let locks = get(&get(&global, "navigator")?, "locks")?.unchecked_into::<LockManager>();
        let (hall, desk) = (
            BroadcastChannel::new(&name).ok()?,
            BroadcastChannel::new(&desk_name(&name, own)).ok()?,
        );
        let on_message = Closure::<dyn Fn(MessageEvent)>::new({
            let shell = shell.clone();
            move |event: MessageEvent| {
                if let (Some(shell), Ok(bytes)) =
                    (shell.upgrade(), event.data().dyn_into::<Uint8Array>())
                {
                    shell.handle_tabs(Input::Heard(bytes.to_vec().into()));
                }
            }
        });
        for channel in [&hall, &desk] {
            channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        }
        let mut release = None;
        let held = Promise::new(&mut |resolve, _reject| release = Some(resolve));
        let on_lock = [Input::Ready, Input::Leads].map(|input| {
            let (shell, held) = (shell.clone(), held.clone());
            Closure::<dyn Fn() -> Promise>::new(move || {
                if let Some(shell) = shell.upgrade() {
                    shell.handle_tabs(input.clone());
                }
                held.clone()
            })
        });
        let (waiting, release) = (AbortController::new().ok()?, release?);
        let this = Self {
            name,
            shell,
            locks,
            hall,
            desk,
            desks: RefCell::default(),
            waiting,
            release,
            _on_message: on_message,
            _on_lock: on_lock,
        };
        let [on_alive, on_leads] = &this._on_lock;
        let name = lock_name(&this.name, own);
        // Nobody waits for the ends of these two; as futures their failures are heard.
        drop(this.lock(&name, "exclusive", on_alive.as_ref())?);
        drop(this.lock(&this.name, "exclusive", on_leads.as_ref())?);
        Some(this)
    }

    /// Requests a lock; the future ends when it was held and is free again, or fails.
    fn lock(&self, name: &str, mode: &str, callback: &JsValue) -> Option<JsFuture> {
        let options = object(&[("mode", mode.into()), ("signal", self.waiting.signal().into())]);
        self.locks.request(name, &options, callback).ok().map(JsFuture::from)
    }

    /// Sends a message to one tab, or to all.
    pub(crate) fn post(&self, to: Option<TabId>, message: &[u8]) {
        let message = Uint8Array::from(message);
        // A channel that cannot send is one of a page that is going away.
        let Some(tab) = to else { return drop(self.hall.post_message(&message)) };
        let mut desks = self.desks.borrow_mut();
        if let Some((_, desk)) = desks.iter().find(|(of, _)| *of == tab) {
            return drop(desk.post_message(&message));
        }
        if let Ok(desk) = BroadcastChannel::new(&desk_name(&self.name, tab)) {
            drop(desk.post_message(&message));
            desks.push((tab, desk));
        }
    }

    /// Tells the session when a tab is no more: then its lock can be had.
    pub(crate) fn watch(&self, tab: TabId) {
        // A function of the language that does nothing: the lock is free again at once.
        let nothing = Reflect::get(&js_sys::global(), &"Object".into()).unwrap_or_default();
        let Some(granted) = self.lock(&lock_name(&self.name, tab), "shared", &nothing) else {
            return;
        };
        let shell = self.shell.clone();
        spawn_local(async move {
            if granted.await.is_ok()
                && let Some(shell) = shell.upgrade()
            {
                shell.handle_tabs(Input::Gone(tab));
            }
        });
    }

    /// Forgets a tab that is no more.
    pub(crate) fn forget(&self, tab: TabId) {
        self.desks.borrow_mut().retain(|(of, desk)| {
            if *of == tab {
                desk.close();
            }
            *of != tab
        });
    }
}

impl Drop for BrowserTabs {
    fn drop(&mut self) {
        self.waiting.abort();
        drop(self.release.call0(&JsValue::UNDEFINED));
        self.hall.close();
        self.desk.close();
        self.desks.get_mut().iter().for_each(|(_, desk)| desk.close());
    }
}

fn desk_name(name: &str, tab: TabId) -> String {
    [name, " to ", &number(tab)].concat()
}

fn lock_name(name: &str, tab: TabId) -> String {
    [name, " tab ", &number(tab)].concat()
}

fn number(tab: TabId) -> String {
    tab.0.to_string()
}
