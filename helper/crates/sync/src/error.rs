pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the remote: {0}")]
    Remote(#[from] nixbox_remote::Error),
    /// Of the instance, or of the copy that is kept of the remote.
    #[error("{0}")]
    Engine(#[from] nixbox_engine::Error),
    #[error("the copy that is kept of the remote: {0}")]
    Mirror(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Both sides changed these, each in its own way. Nothing was changed.
    #[error("{} paths were changed on both sides", .0.len())]
    Conflicts(Vec<crate::merge::Conflict>),
    /// Somebody went on changing it for as long as it was tried.
    #[error("it was changed again and again meanwhile")]
    Moved,
    /// The remote is not what was pulled any more, or the lease has changed hands: nothing was written there.
    #[error("the remote has changed since it was read")]
    Overtaken,
    /// The remote was put back to an older state than was seen here: what it lacks was not taken away by anybody. Nothing was
    /// changed.
    #[error("{}", match last {
        Some(last) => format!("of its pushes, number {seen} was seen here; it has {last}, and not that one"),
        None => format!("of its pushes, number {seen} was seen here; it has none"),
    })]
    Older { seen: i64, last: Option<i64> },
    /// It went out, and no answer came; looking again did not tell, either.
    #[error("whether the push has happened is not known: {0}")]
    Unknown(nixbox_remote::Error),
    /// What is to be pushed has content that is neither here nor at the remote any more. Nothing was changed.
    #[error("the content of {0} was never loaded, and the remote has it no more")]
    Gone(String),
    /// Nothing was changed, and what had come is thrown away.
    #[error("it was called off")]
    CalledOff,
    /// The copy of what was here before. Nothing was changed.
    #[error("what is here could not be kept first: {0}")]
    NotKept(String),
    /// One of the two lies over a base and the other does not. Nothing was changed.
    #[error("{}", match of_remote {
        true => "what it holds are changes to a base, and the instance has none",
        false => "what it holds is a whole tree, and the instance is a layer over its base",
    })]
    Kind { of_remote: bool },
    /// The remote has something at a path that this instance leaves out of its view. Nothing was changed.
    #[error("`/{0}` is left out of this instance's view")]
    Hidden(String),
    #[error("the remote holds something that is no AgentFS database of version 0.4: {0}")]
    Foreign(String),
}
