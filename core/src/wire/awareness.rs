//! Awareness updates of y-protocols: who shows what, with a clock per client.
