//! A panic ends the process: what it left behind is taken up at the next start, as after any other death. But for one
//! place: what panics below the engine's edge is answered as an error.

pub(crate) fn end_the_process() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if nixbox_engine::is_guarded() {
            tracing::debug!(%panic, "caught");
        } else {
            tell(panic);
            std::process::abort();
        }
    }));
}
