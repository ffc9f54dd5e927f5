//! The parts of the tests.

/// One part, run and counted by itself. The order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// All Rust tests of the host: core, relay, the cross-part tests with the simulation, xtask.
    Rust,
    /// The cross-part tests in Rust alone, for a quick run by name.
    Simulation,
    /// The browser module: what it imports, and its size.
    Wasm,
    /// The npm package in Node.js, against a relay.
    Npm,
    /// Outside clients, against a relay.
    Interop,
    /// The example app in a real browser, against a relay.
    Browser,
    /// The main paths in Firefox, against a relay.
    Firefox,
    /// The same few in WebKit, as a smoke test.
    Webkit,
    /// The packed package in tiny projects, one for each way to import it.
    Packages,
}

impl Part {
    /// Every part that can be named.
    pub(crate) const ALL: [Self; 9] = [
        Self::Rust,
        Self::Simulation,
        Self::Wasm,
        Self::Npm,
        Self::Interop,
        Self::Browser,
        Self::Firefox,
        Self::Webkit,
        Self::Packages,
    ];

    /// What a run without names consists of; the simulation is in `rust`.
    pub(crate) const EVERY_RUN: [Self; 8] = [
        Self::Rust,
        Self::Wasm,
        Self::Npm,
        Self::Interop,
        Self::Browser,
        Self::Firefox,
        Self::Webkit,
        Self::Packages,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Simulation => "simulation",
            Self::Wasm => "wasm",
            Self::Npm => "npm",
            Self::Interop => "interop",
            Self::Browser => "browser",
            Self::Firefox => "firefox",
            Self::Webkit => "webkit",
            Self::Packages => "packages",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    pub(super) const fn is_rust(self) -> bool {
        matches!(self, Self::Rust | Self::Simulation)
    }

    /// Where npm runs this part.
    pub(super) const fn npm_folder(self) -> Option<&'static str> {
        match self {
            Self::Npm => Some("npm"),
            Self::Interop => Some("tests/interop"),
            Self::Browser | Self::Firefox | Self::Webkit => Some("tests/browser"),
            Self::Packages => Some("tests/packages"),
            Self::Rust | Self::Simulation | Self::Wasm => None,
        }
    }

    /// The script of npm that runs this part.
    pub(super) const fn npm_script(self) -> &'static str {
        match self {
            Self::Firefox => "firefox",
            Self::Webkit => "webkit",
            _ => "test",
        }
    }
}
