use std::{cell::Cell, panic, sync::Once};

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, panics on this thread print nothing. The PDF library panics on files that it does not understand, which
/// is caught and handled; its messages would put parts of documents into the log.
pub(super) struct Quiet {
    was_quiet: bool,
}

impl Quiet {
    pub(super) fn begin() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let previous = panic::take_hook();
            panic::set_hook(Box::new(move |information| {
                if !IS_QUIET.get() {
                    previous(information);
                }
            }));
        });
        Self { was_quiet: IS_QUIET.replace(true) }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        IS_QUIET.set(self.was_quiet);
    }
}
